# What the studies of networks between simulated factors share, on top of the options and reports of
# bench/contextual_tools.R, which is sourced before.

factor_sequences <- function(sim) {
  stats::setNames(sim$sequence, sim$id)
}

# All changes of a letter within sites, as mutagenize() takes them.
site_variants <- function(sequences, sites) {
  sites$sequence <- as.character(sites$sequence)
  at <- unique(do.call(rbind, lapply(split(sites, seq_len(nrow(sites))), function(one) {
    data.frame(sequence = one$sequence, position = one$start:one$end)
  })))
  all <- merge(at, data.frame(alt = c("A", "C", "G", "T")))
  all[substr(sequences[all$sequence], all$position, all$position) != all$alt, ]
}

# Members on bootstrap samples; a sequence and its mutant together.
train_factors <- function(model, sim, seed, loss, epochs, members = 5) {
  seq_ensemble(model, sim$sequence, sim$label, n = members, bootstrap = TRUE,
    unit = ifelse(is.na(sim$parent), sim$id, sim$parent), loss = loss, seed = 1000 * seed,
    control = seq_control(epochs = epochs, batch_size = 64, learning_rate = 1e-2,
      schedule = "cosine"))
}

batch_normed <- function() {
  list(seq_layer("batch_norm", epsilon = 1e-3), seq_layer("activation", activation = "relu"))
}

# Shares of the variance of signals that means of members explain on new sequences.
explained <- function(ensemble, sim) {
  predicted <- as.matrix(predict(ensemble, factor_sequences(sim))[-1])
  signal <- truth(sim)$signal[, colnames(predicted)]
  1 - colMeans((predicted - signal)^2) / apply(signal, 2, stats::var)
}

# Calls among edges with and without an effect, and what the least p-values without one are.
judge_calls <- function(edges, true) {
  c(true = sum(true), found = sum(edges$called[true]), null = sum(!true),
    false = sum(edges$called[!true]), null.p05 = mean(edges$p.value[!true] <= 0.05),
    null.least_p = min(edges$p.value[!true]))
}
