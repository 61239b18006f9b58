/*
 * The demand design of Hartford et al. (2017), as Xu et al. (2021) simulate it: ticket sales Y by
 * price, time of the year and type of customer, with the cost of fuel as instrument. For row i
 *
 *   type ~ Uniform{1, ..., 7}, time ~ U(0, 10), cost, v, w ~ N(0, 1), all independent,
 *   price = 25 + (cost + 3) psi(time) + v,  e = rho v + sqrt(1 - rho^2) w
 *   Y = 100 + (10 + price) type psi(time) - 2 price + e
 *   psi(t) = 2 ((t - 5)^4 / 600 + exp(-4 (t - 5)^2) + t / 10 - 2)
 */
#ifndef MRL_SIM_DEMAND_H
#define MRL_SIM_DEMAND_H

#include "status.h"

typedef struct {
  size_t n; /* rows, at least 1 */
  uint64_t seed;
  double rho; /* -1 .. 1, correlation of the two noises */
} mrl_sim_demand_settings;

/* All memory is the caller's; each (n). */
typedef struct {
  double *y, *price, *time, *type, *cost;
  double *v, *e; /* noise of the price, noise of Y */
  double *slope; /* what a unit of price does to Y: type psi(time) - 2 */
} mrl_sim_demand;

double mrl_demand_psi(double time);

mrl_status mrl_sim_demand_run(mrl_sim_demand *out, const mrl_sim_demand_settings *settings,
                              const mrl_ctx *ctx);

#endif
