/* Features and losses of deep feature IV in double, as net_double.h says it of the networks. */
#ifndef DFIV_DOUBLE_H
#define DFIV_DOUBLE_H

#include "net_double.h"

#define mrl_mlp_carve mrl_mlp_carve_double
#define mrl_mlp_trunk_carve mrl_mlp_trunk_carve_double
#define mrl_scale_of mrl_scale_of_double
#define mrl_scale_column mrl_scale_column_double
#define mrl_keep_tile mrl_keep_tile_double
#define mrl_dfiv_nets_carve mrl_dfiv_nets_carve_double
#define mrl_dfiv_term mrl_dfiv_term_double
#define mrl_dfiv_model_carve mrl_dfiv_model_carve_double
#define mrl_dfiv_solve mrl_dfiv_solve_double
#define mrl_dfiv_instrument_loss mrl_dfiv_instrument_loss_double
#define mrl_dfiv_exposures mrl_dfiv_exposures_double
#define mrl_dfiv_outcome_loss mrl_dfiv_outcome_loss_double
#define mrl_dfiv_fold_rows mrl_dfiv_fold_rows_double
#define mrl_dfiv_evaluate mrl_dfiv_evaluate_double
#define mrl_dfiv_pass mrl_dfiv_pass_double
#define mrl_dfiv_fill_p mrl_dfiv_fill_p_double
#define mrl_dfiv_fill_e mrl_dfiv_fill_e_double
#define mrl_dfiv_fill_c mrl_dfiv_fill_c_double
#define mrl_dfiv_fill_f mrl_dfiv_fill_f_double
#define mrl_dfiv_fill_d mrl_dfiv_fill_d_double
#define mrl_dfiv_gram mrl_dfiv_gram_double
#define mrl_dfiv_product mrl_dfiv_product_double
#define mrl_dfiv_total mrl_dfiv_total_double

#include "iv_dfiv_nets.c"
#include "iv_dfiv_step.c"
#include "layer.c"
#include "mlp.c"
#include "net.c"
#include "net_run.c"
#include "net_step.c"
#include "net_tile.c"
#include "optim.c"
#include "rng.h"

#endif
