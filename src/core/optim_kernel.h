/* The vector loops of optim.c for one instruction set; included by real_isa.h. Blocks are padded to
 * whole registers. */

/* Sum of squares of n numbers, at most a few thousand, in MRL_LANES lanes. */
TARGET static mrl_real KERNEL(squares)(const mrl_real *x, size_t n)
{
  mrl_real lanes[MRL_LANES] = {0}, sum = 0;
  for (size_t l = 0; l < MRL_LANES; l += LEN) {
    VEC total = {0};
    for (size_t i = l; i < n; i += MRL_LANES) {
      total = FMA(CONST_AT(x + i), CONST_AT(x + i), total);
    }
    AT(lanes + l) = total;
  }
  for (size_t l = 0; l < MRL_LANES; l++) {
    sum += lanes[l];
  }
  return sum;
}

TARGET static void KERNEL(sgd)(mrl_real *w, mrl_real *m, const mrl_real *g, size_t n,
                               const step_numbers *s)
{
  const VEC scale = SPLAT(s->scale), decay = SPLAT(s->decay), momentum = SPLAT(s->beta1);
  const VEC rate = SPLAT(-s->rate);
  for (size_t i = 0; i < n; i += LEN) {
    const VEC gi = FMA(decay, CONST_AT(w + i), CONST_AT(g + i) * scale);
    const VEC mi = FMA(momentum, CONST_AT(m + i), gi);
    AT(m + i) = mi;
    AT(w + i) = FMA(rate, mi, CONST_AT(w + i));
  }
}

/* shrink: what a decoupled decay leaves of w. */
FN void KERNEL(adam_by)(const int largest, mrl_real *w, mrl_real *m, mrl_real *v, mrl_real *most,
                        const mrl_real *g, size_t n, const step_numbers *s)
{
  const VEC scale = SPLAT(s->scale), decay = SPLAT(s->decay), shrink = SPLAT(s->shrink);
  const VEC fresh1 = SPLAT(s->fresh1), beta2 = SPLAT(s->beta2), fresh2 = SPLAT(s->fresh2);
  const VEC rate = SPLAT(-s->rate), root = SPLAT(s->root), eps = SPLAT(s->eps);
  for (size_t i = 0; i < n; i += LEN) {
    const VEC wi = CONST_AT(w + i), gi = FMA(decay, wi, CONST_AT(g + i) * scale);
    const VEC mi = FMA(fresh1, gi - CONST_AT(m + i), CONST_AT(m + i));
    VEC vi = FMA(beta2, CONST_AT(v + i), fresh2 * gi * gi);
    AT(m + i) = mi;
    AT(v + i) = vi;
    if (largest) {
      vi = WHERE_GREATER(CONST_AT(most + i), vi, CONST_AT(most + i), vi);
      AT(most + i) = vi;
    }
    AT(w + i) = FMA(rate, mi / FMA(SQRT(vi), root, eps), wi * shrink);
  }
}

TARGET static void KERNEL(adam)(mrl_real *w, mrl_real *m, mrl_real *v, mrl_real *most,
                                const mrl_real *g, size_t n, const step_numbers *s)
{
  if (most) {
    KERNEL(adam_by)(1, w, m, v, most, g, n, s);
  } else {
    KERNEL(adam_by)(0, w, m, v, most, g, n, s);
  }
}

static const KERNELS KERNEL(table) = {KERNEL(squares), KERNEL(sgd), KERNEL(adam)};
