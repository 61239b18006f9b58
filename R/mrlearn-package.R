#' mrlearn: machine learning for Mendelian randomization
#'
#' Mendelian randomization asks whether an exposure causes an outcome, with genetic variants as
#' instruments: they shift the exposure, share no cause with the outcome, and reach it only through
#' the exposure. Every estimate of this package rests on these three conditions. The first is tested
#' in every fit; the others can be contradicted by data, never shown, and the diagnostics that each
#' fit carries say where they are.
#'
#' @section People with genotypes and traits:
#' Estimators take a formula `outcome ~ exposure + covariates | instruments + covariates` and a
#' data.frame, or matrices; [bed()] opens genotypes in PLINK files and stands wherever a matrix of
#' instruments does.
#'
#' * A linear effect: [iv_2sls()], and [iv_ols()] for comparison; many variants: [iv_lasso()]; weak
#'   ones: [iv_liml()], [iv_jive()] and the confidence sets of [ar_set()]; data that may not leave
#'   their site: [iv_crossprod()].
#' * The shape of an effect: [iv_quantile()], [iv_deep()], [iv_dfiv()] by networks,
#'   [iv_doubly_ranked()] by strata, [iv_control_function()] also for binary outcomes and survival
#'   times; [iv_delivr()] tests whether there is an effect and whether it bends.
#' * Effects that vary with age, sex, BMI and so on: [iv_contextual()].
#' * All by name: [iv_methods()].
#'
#' Whatever was fitted, [effect_curve()], [ate()], [cate()] and [average_derivative()] give effects,
#' `tidy()`, `glance()`, `augment()` and [diagnostics()] data.frames, `plot()` and
#' `ggplot2::autoplot()` pictures; [orthogonal()] gives averages with analytic errors,
#' [conformal()] intervals for new outcomes, [report_table()] the table of a report. See
#' `vignette("start", "mrlearn")`, `vignette("nonlinear", "mrlearn")` and
#' `vignette("contextual", "mrlearn")`.
#'
#' @section Summary statistics:
#' [mr_estimate()] takes harmonised data as TwoSampleMR makes them, or vectors by [mr_data()], and
#' has 37 methods ([mr_methods()]); [mr_diagnose()], [mr_single_snp()], [mr_leave_one_out()],
#' [mr_presso_test()] and [mr_radial()] look for what is wrong; [mr_correlated()] allows for linkage
#' disequilibrium; [mv_estimate()] has several exposures; [mr_contextual()] strata of age or another
#' context; [meta_random()] and [meta_regression()] pool. From people to summary statistics:
#' [snp_associations()], [clump()], [ld_matrix()]. See `vignette("twosamplemr", "mrlearn")` and
#' `vignette("summary_data", "mrlearn")`.
#'
#' @section A sequence model:
#' [seq_model()] and [seq_ensemble()] are networks on sequences, trained here; [read_keras_model()],
#' [read_seq_model()] and [seq_predictor()] bring them from elsewhere; [mutagenize()] says what each
#' mutation does. [deep_mr()] estimates effects of one output on another within each sequence and on
#' average, [deep_mr_network()] between all, [deep_mr_check()] says what a result rests on. See
#' `vignette("deep_mr", "mrlearn")`.
#'
#' @section Several populations, instruments confounded:
#' [iv_latent()] searches the part of the instruments that all populations share and says when it
#' has not found it. See `vignette("latent", "mrlearn")`.
#'
#' @section Known truth, long runs:
#' [sim_contextual()], [sim_nonlinear()] and other simulators know the [truth()]; [simulation()]
#' builds one step by step; [evaluate()][evaluation] and [compare_fits()] hold estimates against it.
#' [run_sweep()] works through designs of [sweep_design()] and goes on where it was killed;
#' [map_shards()] through files; [install_cli()] brings the command `mrlearn`. See
#' `vignette("scaling", "mrlearn")`, and to choose, `vignette("which_method", "mrlearn")`.
#'
#' @section Options:
#' * `mrlearn.threads`: number of threads of compiled code (2; see [mrl_threads()]).
#' * `mrlearn.isa`: `"best"` (what the CPU has), `"portable"`, `"avx2"` or `"avx512"`, to compare
#'   instruction sets.
#'
#' Long runs show a bar in interactive sessions, and tell the handlers of the package progressr
#' where it is loaded; refits go to workers by the plan of the package future.
#'
#' @section Conditions:
#' Errors have the class `mrlearn_error` and one that says what kind, such as
#' `mrlearn_error_argument` or `mrlearn_error_underidentified`; warnings and messages likewise. See
#' [mrlearn_conditions].
#'
#' @section Reproducibility:
#' Results are the same for any number of threads and workers. Functions that draw random numbers
#' have an argument `seed`: `NULL` draws one from R's generator, so that `set.seed()` rules; a
#' number is used as it is and leaves R's generator alone. Fits record their seed, networks the
#' instruction set too: AVX2 and AVX-512 agree to the bit, the portable code to rounding. Fits are
#' plain lists, which `saveRDS()` keeps. They hold outcome, exposure and covariates (unless
#' `model = FALSE`), never genotypes.
#'
#' @references
#' Davey Smith and Ebrahim (2003), Mendelian randomization: can genetic epidemiology contribute to
#' understanding environmental determinants of disease? Int. J. Epidemiol. 32:1.
#' @keywords internal
#' @useDynLib mrlearn, .registration = TRUE
#' @importFrom generics tidy glance augment
#' @importFrom stats coef confint fitted formula model.frame nobs predict residuals update vcov
"_PACKAGE"

#' @export
generics::tidy

#' @export
generics::glance

#' @export
generics::augment
