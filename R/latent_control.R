# Settings of the representations of iv_latent(): made and checked in one place.

latent_methods <- c("ssa", "closure", "flow", "autoencoder")
latent_coders <- c("linear", "polynomial", "mlp")
latent_kernels <- c("poly", "gaussian", "moments")

#' Settings of iv_latent()
#'
#' How [iv_latent()] looks for the valid part of instruments: one object for all its methods, with
#' one set of defaults for all kinds of mixing. A method reads its own settings and no others:
#' `ssa_share` that of `"ssa"`, those named `closure_` and `flow_` their methods', all behind them
#' the autoencoder's.
#'
#' @section Flow:
#' `"flow"` takes the instruments for an invertible, piecewise-linear function of as many latents
#' that are normal in each environment, with a mean and a covariance of its own, and maximises their
#' likelihood. A flow that fits worse than the truth shows in the gate: no direction of its latent
#' is then stationary.
#'
#' Of the instruments, whitened, each layer makes \eqn{x = B h + c} and then
#' \eqn{x_j - m_j \tau \log(1 + \exp(-x_j / \tau))}, a leaky rectifier of slope \eqn{1 + m_j}
#' smoothed over \eqn{\tau}, which falls from 1 to .03 during the search. The likelihood has local
#' optima: random starts climb it (L-BFGS) on at most 4,000 rows of each environment and are ranked
#' by the likelihood of as many others; the best two go on on all rows; the best flow is tested by
#' the gate. If it fails, single units of the best start are changed at random, and then new starts
#' are drawn.
#'
#' @section Autoencoder:
#' `"autoencoder"` trains an encoder from the instruments to a latent \eqn{(V, W)} and a decoder
#' back, by the loss
#' \deqn{r MSE + \lambda_1 MMD^2(W) + \lambda_2 HSIC(V, W) + \lambda_3 MSE(X) -
#'   \lambda_4 \log\det Cov(V, W)}
#' of Huang, Robinson & Locatello (2026): the mean of \eqn{MMD^2} over pairs of environments makes
#' the law of \eqn{W} the same in all of them, HSIC makes the parts independent within environments,
#' \eqn{MSE(X)} is the error of the exposures, standardised, as a network of \eqn{W} predicts them
#' (16 units, tanh). It needs a reconstruction without error, and has local optima: of several
#' restarts the one with the least \eqn{MMD^2} of rows held out is kept, among those that
#' reconstruct.
#'
#' The error of reconstruction is that of the instruments' principal components, each scaled to
#' variance one (`inputs = "sphered"`): the latents themselves may have a tiny share of the
#' instruments' variance, as with polynomials, and then each column, standardised, can be
#' reconstructed well from a latent that is wrong. Noise of measurement is amplified where the
#' instruments are nearly collinear; `inputs = "standardised"` is the error of the columns.
#'
#' The published loss depends on the scale of the latent, which the decoder can undo, so that all
#' penalties can be made small without meaning anything. By default (`scale = "whitened"`) \eqn{V}
#' and \eqn{W} are therefore whitened, each by itself, in every batch, before penalties and decoder
#' see them. `scale = "published"` is the loss as published: raw latents, HSIC of all rows counted
#' twice beside the sum over environments, the log determinant by environment.
#'
#' The \eqn{W} that the penalties made contains some of \eqn{V} after a search of any length: in two
#' environments with cubic mixing .2 % of its variance in the median and 3 % at worst (18 data sets
#' of 20,000 people), enough for a bias of .1 in the hard variant of [sim_environments()]. The
#' most stationary directions of the same latent had .04 % at worst, so they are the default
#' (`split`). An MLP as decoder assumes nothing of the mixing: with fewer environments than \eqn{V}
#' has dimensions, and one more, it can reconstruct and be stationary with a \eqn{W} that is wrong
#' (a bias of .3), and the gate refuses it whatever it finds.
#'
#' @param method The method, as in [iv_latent()], for calls where that argument cannot be named, as
#'   of [iv_fit()]; NULL leaves it to the argument.
#' @param methods Those that `"auto"` tries, in their order.
#' @param ssa_share The least share of the instruments' variance that the components of `"ssa"` must
#'   hold.
#' @param closure_starts,closure_iterations Random starts of `"closure"`, and the most iterations of
#'   each.
#' @param closure_rows Rows that directions are looked for on.
#' @param closure_tolerance What a direction's square may leave unexplained.
#' @param flow_layers Layers of the flow. One suits a mixing of two linear layers with one leaky
#'   rectifier between; smooth curves and deeper mixings need two.
#' @param flow_starts,flow_cycles Random starts of a cycle, and the most cycles.
#' @param flow_moves The most rounds of changed units in a cycle.
#' @param encoder,decoder `"linear"`, `"polynomial"` (linear in the monomials of its inputs up to
#'   `degree`) or `"mlp"`: dense layers with rectifiers, in the encoder with layer norm (the
#'   published encoder). Where the instruments are as many independent polynomials as there are
#'   monomials, the default, a linear encoder and a polynomial decoder, can be exact; an MLP assumes
#'   less and needs more epochs and a smaller learning rate.
#' @param degree Of polynomials.
#' @param hidden Units of the hidden layers of an MLP.
#' @param kernel Of MMD and HSIC: `"poly"`, \eqn{(x'y + 1)^2}, in time linear in the rows;
#'   `"gaussian"`, five bandwidths about the median distance of a standard normal sample, quadratic
#'   in the rows; `"moments"`: means and covariances for MMD, `"poly"` for HSIC.
#' @param scale,inputs See above.
#' @param reconstruction,mmd,hsic,relevance,entropy Weights \eqn{r}, \eqn{\lambda_1},
#'   \eqn{\lambda_2}, \eqn{\lambda_3}, \eqn{\lambda_4}. `reconstruction` is by default 10 with a
#'   linear decoder, else 100; `relevance` is 0, as published.
#' @param neighbours 0: the entropy is the log determinant above; else that of \eqn{W} in the unit
#'   cube (its normal distribution function), by the distance to this nearest neighbour, 5, say
#'   (Kozachenko & Leonenko 1987).
#' @param epochs,batch_size Passes over the rows of the smallest environment, and rows of each
#'   environment in a batch.
#' @param learning_rate Of AdamW; by default 0.002 with an MLP encoder, else 0.03.
#' @param weight_decay,clip Of AdamW; largest norm of the gradient, 0 for none.
#' @param schedule `"cosine"`, `"plateau"` (half the rate after 20 epochs without a lower loss) or
#'   `"constant"`.
#' @param restarts Number of starts with weights of their own.
#' @param start `"random"`, or `"ssa"`: a linear encoder starts at the closed form for linear
#'   mixing.
#' @param split What of the latent becomes \eqn{W}: `"ssa"`, the directions that differ least
#'   between environments, as with the other methods; `"learned"`, the columns that the penalties
#'   made \eqn{W}, as published.
#' @param n_valid Rows of each environment held out, at most a fifth.
#' @param least_r2 What a reconstruction must explain of the rows held out.
#' @return A list of class `latent_control`, for the `control` of [iv_latent()], which takes a plain
#'   list of such settings too.
#' @references Huang, Robinson & Locatello (2026). arXiv:2602.19782.
#' @examples
#' latent_control(encoder = "mlp", decoder = "mlp", epochs = 700)
#' latent_control(flow_layers = 2, methods = c("ssa", "flow"))
#' @export
latent_control <- function(method = NULL, methods = c("ssa", "closure", "flow", "autoencoder"),
                           ssa_share = 0.99, closure_starts = 300, closure_iterations = 500,
                           closure_rows = 2000, closure_tolerance = 1e-8, flow_layers = 1,
                           flow_starts = 8, flow_cycles = 6, flow_moves = 2,
                           encoder = c("linear", "polynomial", "mlp"),
                           decoder = c("polynomial", "linear", "mlp"), degree = 3,
                           hidden = c(128, 128), kernel = c("poly", "gaussian", "moments"),
                           scale = c("whitened", "published"),
                           inputs = c("sphered", "standardised"), reconstruction = NULL, mmd = 1,
                           hsic = 1, relevance = 0, entropy = 0.01, neighbours = 0, epochs = 200,
                           batch_size = 500, learning_rate = NULL, weight_decay = 1e-4, clip = 1,
                           schedule = c("cosine", "plateau", "constant"), restarts = 5,
                           start = c("random", "ssa"), split = c("ssa", "learned"),
                           n_valid = 2000, least_r2 = 0.99) {
  encoder <- check_choice(encoder, c("linear", "polynomial", "mlp"))
  decoder <- check_choice(decoder, c("polynomial", "linear", "mlp"))
  start <- check_choice(start, c("random", "ssa"))
  if (start == "ssa" && encoder != "linear") {
    stop_argument("start", "can be \"ssa\" for a linear encoder only", describe(encoder))
  }
  if (is.null(reconstruction)) {
    reconstruction <- if (decoder == "linear") 10 else 100
  }
  if (is.null(learning_rate)) {
    learning_rate <- if (encoder == "mlp") 0.002 else 0.03
  }
  structure(
    list(
      method = if (!is.null(method)) check_choice(method, c("auto", latent_methods)),
      methods = check_latent_methods(methods),
      ssa_share = check_number(ssa_share, min = 0, max = 1),
      closure_starts = check_count(closure_starts, max = 1e6),
      closure_iterations = check_count(closure_iterations),
      closure_rows = check_count(closure_rows, min = 100),
      closure_tolerance = check_number(closure_tolerance, min = 0, max = 1, open = TRUE),
      flow_layers = check_count(flow_layers, max = 10),
      flow_starts = check_count(flow_starts, max = 1000),
      flow_cycles = check_count(flow_cycles, max = 1000),
      flow_moves = check_count(flow_moves, min = 0, max = 100),
      encoder = encoder, decoder = decoder, degree = check_count(degree, max = 10),
      hidden = check_layer_sizes(hidden),
      kernel = check_choice(kernel, c("poly", "gaussian", "moments")),
      scale = check_choice(scale, c("whitened", "published")),
      inputs = check_choice(inputs, c("sphered", "standardised")),
      reconstruction = check_number(reconstruction, min = 0),
      mmd = check_number(mmd, min = 0), hsic = check_number(hsic, min = 0),
      relevance = check_number(relevance, min = 0), entropy = check_number(entropy, min = 0),
      neighbours = check_count(neighbours, min = 0, max = 100), epochs = check_count(epochs),
      batch_size = check_count(batch_size),
      learning_rate = check_number(learning_rate, min = 0, open = TRUE),
      weight_decay = check_number(weight_decay, min = 0), clip = check_number(clip, min = 0),
      schedule = check_choice(schedule, c("cosine", "plateau", "constant")),
      restarts = check_count(restarts, max = 1000), start = start,
      split = check_choice(split, c("ssa", "learned")), n_valid = check_count(n_valid),
      least_r2 = check_number(least_r2, max = 1)
    ),
    class = "latent_control"
  )
}

check_latent_methods <- function(methods) {
  if (!is.character(methods) || !length(methods) || anyDuplicated(methods)) {
    stop_argument("methods", "must name one or more methods, each once", describe(methods))
  }
  vapply(methods, check_choice, "", choices = latent_methods, arg = "methods", USE.NAMES = FALSE)
}

# A plain list of settings becomes an object of them all.
read_latent_control <- function(control) {
  if (inherits(control, "latent_control")) {
    return(control)
  }
  named <- is.list(control) && (!length(control) || !is.null(names(control)) &&
    all(nzchar(names(control))) && !anyDuplicated(names(control)))
  if (!named) {
    stop_argument("control", "must be a list with a name for each item, or latent_control()",
      describe(control))
  }
  known <- names(formals(latent_control))
  unknown <- setdiff(names(control), known)
  if (length(unknown)) {
    stop_mrl("argument", "`control` has settings that latent_control() does not know: ",
      shorten(unknown), "; it has ", shorten(known, 40L), ".")
  }
  do.call(latent_control, control)
}
