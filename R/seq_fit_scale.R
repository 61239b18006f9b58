# Labels of sequence networks on a scale of their own, and back.

# What labels are divided by: their standard deviation, by channel, where the loss is squared and
# the output's last layer can undo it; else 1.
label_scale <- function(data, rows) {
  scale <- rep(1, ncol(data$labels))
  for (h in seq_len(nrow(data$heads))) {
    head <- data$heads[h, ]
    at <- head$first + seq_len(head$count)
    channel <- rep_len(seq_len(head$channels), head$count)
    y <- data$labels[rows, at, drop = FALSE]
    check_variation(y, head, colnames(data$labels)[at])
    if (head$loss == "squared" && head$type %in% c("dense", "conv")) {
      sds <- vapply(split(seq_along(at), channel), function(j) stats::sd(y[, j]), 0)
      scale[at] <- sds[channel]
    }
  }
  scale
}

check_variation <- function(y, head, names) {
  channel <- rep_len(seq_len(head$channels), head$count)
  flat <- vapply(split(seq_len(ncol(y)), channel), function(j) {
    all(y[, j] == y[1, j[1]])
  }, NA)
  if (head$loss != "multinomial" && any(flat)) {
    stop_mrl("data", "Output ", head$first + which(flat)[1], if (length(names)) " (",
      names[which(flat)[1]], if (length(names)) ")",
      " has the same label in all sequences to train on.")
  }
}

# What outputs start at: the mean label on the scale of the output.
label_level <- function(labels, heads) {
  level <- colMeans(labels)
  loss <- rep(heads$loss, heads$count)
  share <- pmin(pmax(level, 1e-6), 1 - 1e-6)
  ifelse(loss == "squared", level,
    ifelse(loss == "binary", log(share / (1 - share)),
      ifelse(loss == "poisson", log(pmax(level, 1e-6)), 0)))
}

# Parameters of a net whose outputs are multiplied by scale: weights and biases of the last layers.
scale_outputs <- function(parameters, net, heads, scale) {
  end <- cumsum(net$shapes$parameters)
  for (h in which(heads$loss == "squared" & heads$type %in% c("dense", "conv"))) {
    layer <- match(net$outputs[h], net$shapes$layer)
    units <- net$shapes$channels[layer]
    at <- end[layer] - net$shapes$parameters[layer] + seq_len(net$shapes$parameters[layer])
    parameters[at] <- parameters[at] * rep_len(scale[heads$first[h] + seq_len(units)], length(at))
  }
  parameters
}
