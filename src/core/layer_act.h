/* Activations of a register for one instruction set; included where real_isa.h includes loops that
 * need them (no include guard). These undefine BY_ACTIVATION. */
FN VEC KERNEL(activate)(const mrl_activation act, VEC u, mrl_real slope)
{
  switch (act) {
  case MRL_RELU:
    return KERNEL(at_least)(u, 0);
  case MRL_LEAKY_RELU:
    return WHERE_GREATER(SPLAT(0), u, u * slope, u);
  case MRL_GELU:
    return KERNEL(gelu_of)(u);
  case MRL_TANH:
    return KERNEL(tanh_of)(u);
  case MRL_SIGMOID:
    return KERNEL(sigmoid_of)(u);
  case MRL_SOFTPLUS:
    return KERNEL(softplus_of)(u);
  default:
    return u;
  }
}

/* The derivative; at a kink, that from the left. */
FN VEC KERNEL(steepness)(const mrl_activation act, VEC u, mrl_real slope)
{
  VEC y;
  switch (act) {
  case MRL_RELU:
    return WHERE_GREATER(u, SPLAT(0), SPLAT(1), SPLAT(0));
  case MRL_LEAKY_RELU:
    return WHERE_GREATER(u, SPLAT(0), SPLAT(1), SPLAT(slope));
  case MRL_GELU:
    return KERNEL(gelu_slope)(u);
  case MRL_TANH:
    y = KERNEL(tanh_of)(u);
    return FMA(-y, y, SPLAT(1));
  case MRL_SIGMOID:
    return KERNEL(sigmoid_of)(u) * KERNEL(sigmoid_of)(-u);
  case MRL_SOFTPLUS:
    return KERNEL(sigmoid_of)(u);
  default:
    return SPLAT(1);
  }
}

/* One instance of a loop for each activation. */
#define BY_ACTIVATION(function, ...)                                                               \
  switch (affine->act) {                                                                           \
  case MRL_RELU:                                                                                   \
    KERNEL(function)(MRL_RELU, __VA_ARGS__);                                                       \
    break;                                                                                         \
  case MRL_LEAKY_RELU:                                                                             \
    KERNEL(function)(MRL_LEAKY_RELU, __VA_ARGS__);                                                 \
    break;                                                                                         \
  case MRL_GELU:                                                                                   \
    KERNEL(function)(MRL_GELU, __VA_ARGS__);                                                       \
    break;                                                                                         \
  case MRL_TANH:                                                                                   \
    KERNEL(function)(MRL_TANH, __VA_ARGS__);                                                       \
    break;                                                                                         \
  case MRL_SIGMOID:                                                                                \
    KERNEL(function)(MRL_SIGMOID, __VA_ARGS__);                                                    \
    break;                                                                                         \
  case MRL_SOFTPLUS:                                                                               \
    KERNEL(function)(MRL_SOFTPLUS, __VA_ARGS__);                                                   \
    break;                                                                                         \
  default:                                                                                         \
    KERNEL(function)(MRL_IDENTITY, __VA_ARGS__);                                                   \
    break;                                                                                         \
  }
