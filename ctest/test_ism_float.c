/* Fast mutagenesis in float, as in the package, to 1e-5 of the output's scale. */
#include "ctest.h"
#include "ism.h"

#define TOLERANCE 1e-5
#include "test_ism_type.h"

int main(void)
{
  test_random();
  return CTEST_DONE();
}
