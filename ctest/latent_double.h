/* Autoencoders of instruments in double, as net_double.h says it of the networks. */
#ifndef LATENT_DOUBLE_H
#define LATENT_DOUBLE_H

#include "net_double.h"

#define mrl_monomials_count mrl_monomials_count_double
#define mrl_monomials_carve mrl_monomials_carve_double
#define mrl_monomials_fill mrl_monomials_fill_double
#define mrl_monomials_back mrl_monomials_back_double
#define mrl_coder_carve mrl_coder_carve_double
#define mrl_coder_fill_rows mrl_coder_fill_rows_double
#define mrl_coder_fill_latents mrl_coder_fill_latents_double
#define mrl_coder_keep mrl_coder_keep_double
#define mrl_coder_add_input mrl_coder_add_input_double
#define mrl_coder_take_output mrl_coder_take_output_double
#define mrl_latent_rows mrl_latent_rows_double
#define mrl_latent_run_carve mrl_latent_run_carve_double
#define mrl_latent_run_start mrl_latent_run_start_double
#define mrl_latent_gradient mrl_latent_gradient_double
#define mrl_latent_nets_carve mrl_latent_nets_carve_double
#define mrl_latent_examine mrl_latent_examine_double
#define mrl_latent_advance mrl_latent_advance_double
#define mrl_latent_is_done mrl_latent_is_done_double
#define mrl_latent_scratch mrl_latent_scratch_double
#define mrl_latent_train mrl_latent_train_double
#define mrl_latent_encode_scratch mrl_latent_encode_scratch_double
#define mrl_latent_encode mrl_latent_encode_double

#include "iv_latent.c"
#include "iv_latent_net.c"
#include "iv_latent_train.c"
#include "layer.c"
#include "loss.c"
#include "net.c"
#include "net_run.c"
#include "net_step.c"
#include "net_tile.c"
#include "optim.c"

#endif
