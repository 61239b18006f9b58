# Read by every vignette. Pictures are embedded in their pages, so they are kept small:
# 32 colours where pngquant is installed, else not finer than plain screens show.
if (nzchar(Sys.which("pngquant"))) {
  knitr::knit_hooks$set(pngquant = knitr::hook_pngquant)
  knitr::opts_chunk$set(pngquant = "--speed=1 32")
} else {
  knitr::opts_chunk$set(fig.retina = 1)
}
