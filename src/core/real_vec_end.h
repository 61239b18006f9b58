/* What real_isa.h and real_vec.h defined for one instruction set (no include guard). */
#undef VEC
#undef IVEC
#undef FN
#undef AT
#undef CONST_AT
#undef SPLAT
#undef EXP
#undef LOG
#undef KERNEL
#undef LEN
#undef PARTS
#undef TARGET
#undef FMA
#undef SQRT
#undef WHERE_GREATER
#undef LARGER
#undef SMALLER
