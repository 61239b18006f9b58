# make            lint, core tests, package tests
# make demo       the demonstration: estimates a causal effect, writes build/demo.png
# make test       the package's tests, through the installed package
# make help       all the targets
#
# Everything is built from a copy under build/, so that src/ stays clean of objects.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:

export LC_ALL := C.UTF-8
export LANGUAGE := en
export R_DEFAULT_INTERNET_TIMEOUT := 600

# Data too large for the repository: tests that need it skip where it is not there.
ifndef MRLEARN_SHARED_DATA
ifneq ($(wildcard ../shared/data),)
export MRLEARN_SHARED_DATA := $(abspath ../shared/data)
endif
endif

B := build
LIB := $(CURDIR)/$(B)/lib
SAN_LIB := $(CURDIR)/$(B)/lib-san
VERSION := $(shell sed -n 's/^Version: //p' DESCRIPTION)
TARBALL := mrlearn_$(VERSION).tar.gz
C_FILES = $(wildcard src/*.c src/core/*.[ch] src/glue/*.[ch] ctest/*.[ch] dev/fuzz/*.[ch])
INSTALL = MAKEFLAGS=-j`nproc` R CMD INSTALL --no-docs

.PHONY: all help setup setup-dev demo test check check-full ctest csan san fuzz fuzz-properties torture valgrind faults bench oracle \
  doc readme paste slurm site spell doc-check fmt lint clean install install-san vignettes

all: lint ctest test

help:
	@sed -n 's/^## //p' Makefile

## setup      install what demo and test need and the machine lacks
setup:
	@dev/setup.sh run

## setup-dev  install what all the other targets need as well
setup-dev:
	@dev/setup.sh dev

## demo       a causal effect from real genotypes: a data.frame and build/demo.png
demo: install
	@R_LIBS=$(LIB) Rscript dev/demo.R

## test       testthat through the installed package
test: install
	@R_LIBS=$(LIB) Rscript dev/test.R

install: setup
	@dev/copy.sh $(B)/src
	@mkdir -p $(LIB)
	@cd $(B) && $(INSTALL) --library=$(LIB) src > install.log 2>&1 || \
	  { grep -v '^gcc ' install.log; exit 1; }

## check      R CMD build and R CMD check --as-cran: 0 errors, 0 warnings, 0 notes
check: setup-dev
	@dev/copy.sh $(B)/check/src
	@dev/check.sh $(B)/check $(TARBALL)

## check-full the same with the manual as pdf and the checks of new packages; one note: new submission
check-full:
	@dev/setup.sh full
	@dev/copy.sh $(B)/check/src
	@dev/check.sh $(B)/check $(TARBALL) full

# The core without R: every ctest/test_*.c against all of src/core, in three builds. Without OpenMP
# what serves threads is unused, so that build does not warn of it.
CORE_SRC = $(wildcard src/core/*.c)
CTEST_SRC = $(wildcard ctest/test_*.c)
CTEST_FLAGS := -std=c11 -g -Wall -Wextra -Werror -MMD -MP -Isrc/core -Ictest
CTEST_LIBS := -llapack -lblas -lm
SANITIZE := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
# Asks R once, when the first object is compiled.
R_INCLUDE = $(eval R_INCLUDE := $$(shell R CMD config --cppflags))$(R_INCLUDE)
export ASAN_OPTIONS := abort_on_error=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS := print_stacktrace=1

# $(1): build; $(2): compiler; $(3): its flags; $(4): what sets the machine up
define ctest_build
$(B)/$(1)/core/%.o: src/core/%.c Makefile | $(4)
	@mkdir -p $$(@D)
	@echo "compile $$@"
	@$(2) $(CTEST_FLAGS) $(3) $$(R_INCLUDE) -c -o $$@ $$<
$(B)/$(1)/%.o: ctest/%.c Makefile | $(4)
	@mkdir -p $$(@D)
	@echo "compile $$@"
	@$(2) $(CTEST_FLAGS) $(3) $$(R_INCLUDE) -c -o $$@ $$<
$(B)/$(1)/test_%: $(B)/$(1)/test_%.o $(CORE_SRC:src/core/%.c=$(B)/$(1)/core/%.o)
	@echo "link $$@"
	@$(2) $(3) -o $$@ $$^ $(CTEST_LIBS)
.PHONY: $(CTEST_SRC:ctest/%.c=run-$(1)-%)
$(CTEST_SRC:ctest/%.c=run-$(1)-%): run-$(1)-%: $(B)/$(1)/%
	@out=`$$<` || { echo "$(1) $$*: $$$$out"; exit 1; }; echo "$(1) $$*: $$$$out"
run-$(1): $(CTEST_SRC:ctest/%.c=run-$(1)-%)
.PHONY: run-$(1)
.PRECIOUS: $(B)/$(1)/core/%.o $(B)/$(1)/%.o $(B)/$(1)/test_%
-include $(wildcard $(B)/$(1)/*.d $(B)/$(1)/core/*.d)
endef
$(eval $(call ctest_build,ctest,gcc,-O2 -fopenmp,setup))
$(eval $(call ctest_build,csan-gcc,gcc,-fopenmp -Wno-maybe-uninitialized $(SANITIZE),setup-dev))
$(eval $(call ctest_build,csan-clang,clang-14,-Wno-unknown-pragmas -Wno-unused -Wno-unused-parameter $(SANITIZE),setup-dev))
# gcc 12 misaligns vectors on the stack that it keeps to see uses after return (its bug 110027).
run-csan-gcc: export ASAN_OPTIONS := abort_on_error=1

## ctest      the core's own tests, without R
ctest: run-ctest

## csan       the same under the address and undefined-behaviour sanitizers: gcc, and clang without OpenMP
csan: run-csan-gcc run-csan-clang

## san        the package's tests under the same sanitizers
san: install-san
	@R_LIBS=$(SAN_LIB) LD_PRELOAD=`gcc -print-file-name=libasan.so` \
	  ASAN_OPTIONS=abort_on_error=1:detect_leaks=0 Rscript dev/test.R

install-san: setup-dev
	@dev/copy.sh $(B)/src-san
	@mkdir -p $(SAN_LIB)
	@cd $(B) && R_MAKEVARS_USER=$(CURDIR)/dev/Makevars.san $(INSTALL) \
	  --no-test-load --library=$(SAN_LIB) src-san > install-san.log 2>&1 || \
	  { grep -v '^gcc ' install-san.log; exit 1; }

## fuzz       C that reads what users bring, on random bytes, FUZZ_SECONDS each, under the sanitizers
FUZZ_SECONDS ?= 120
FUZZ_TARGETS := bed expr seq seqnet
$(B)/fuzz/core/%.o: src/core/%.c Makefile | setup-dev
	@mkdir -p $(@D)
	@clang-14 $(CTEST_FLAGS) -Wno-unknown-pragmas -Wno-unused -Wno-unused-parameter $(SANITIZE) \
	  -fsanitize=fuzzer-no-link $(R_INCLUDE) -c -o $@ $<
$(B)/fuzz/%: dev/fuzz/%.c dev/fuzz/fuzz.h $(CORE_SRC:src/core/%.c=$(B)/fuzz/core/%.o)
	@clang-14 $(CTEST_FLAGS) $(SANITIZE) -fsanitize=fuzzer -o $@ $< $(filter %.o,$^) $(CTEST_LIBS)
-include $(wildcard $(B)/fuzz/core/*.d)
.PHONY: $(FUZZ_TARGETS:%=fuzz-%)
$(FUZZ_TARGETS:%=fuzz-%): fuzz-%: $(B)/fuzz/%
	@mkdir -p $(B)/fuzz/corpus_$*
	@$< $(B)/fuzz/corpus_$* dev/fuzz/corpus_$* -max_len=$(if $(filter expr,$*),4200,600) \
	  $(addprefix -dict=,$(wildcard dev/fuzz/$*.dict)) -verbosity=0 -artifact_prefix=$(B)/fuzz/$*- \
	  -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1
fuzz: $(FUZZ_TARGETS:%=fuzz-%)

## fuzz-properties  every export with bad and odd arguments, and files, formulas and command lines
fuzz-properties: install
	@R_LIBS=$(LIB) Rscript dev/fuzz/properties.R --seconds=$(FUZZ_SECONDS)
	@R_LIBS=$(LIB) Rscript dev/fuzz/readers.R --seconds=$(FUZZ_SECONDS)

## torture    every .Call entry with a garbage collection at each allocation
torture: install
	@R_LIBS=$(LIB) Rscript dev/torture.R

## valgrind   every .Call entry under valgrind
valgrind: setup-dev install
	@R_LIBS=$(LIB) R -d "valgrind --quiet --error-exitcode=1" --vanilla --no-echo -f dev/calls.R

## faults     processes killed and interrupted at random moments, and what they leave behind
faults: install
	@R_LIBS=$(LIB) OMP_NUM_THREADS=1 Rscript dev/faults.R

## reliability  coverage and size of estimators and tests; their table in RELIABILITY.md
.PHONY: reliability
reliability: install
	@R_LIBS=$(LIB) OMP_NUM_THREADS=1 Rscript bench/reliability.R
	@R_LIBS=$(LIB) Rscript bench/reliability_table.R

## bench      measure: bench/*.R write bench/*.md
bench: install
	@for script in bench/*.R; do echo "$$script"; R_LIBS=$(LIB) Rscript $$script || exit 1; done

## pictures   every picture of plot() and autoplot(), to be looked at: build/pictures/index.html
.PHONY: pictures
pictures: setup-dev install
	@R_LIBS=$(LIB) Rscript dev/pictures.R

## oracle     record what reference packages give, for tests/testthat/fixtures
oracle: install
	@R_LIBS=$(LIB) Rscript data-raw/oracle.R

## vignettes  their tables, from the csv of bench/, and build/vignettes/*.html; ONLY="a b": these
vignettes: setup-dev install
	@R_LIBS=$(LIB) Rscript dev/vignettes.R $(ONLY)

## slurm      a sweep through a one-node Slurm on this machine, killed and resumed
slurm: setup-dev install
	@R_LIBS=$(LIB) dev/slurm.sh $(B)/slurm

## doc        NAMESPACE and man/ from the comments in R/
doc: setup-dev
	@dev/copy.sh $(B)/doc
	@Rscript dev/doc.R $(B)/doc
	@cp $(B)/doc/NAMESPACE NAMESPACE && rm -f man/*.Rd && mkdir -p man && cp $(B)/doc/man/*.Rd man/

doc-check: setup-dev
	@dev/copy.sh $(B)/doc-check
	@Rscript dev/doc.R $(B)/doc-check
	@diff -r NAMESPACE $(B)/doc-check/NAMESPACE && diff -r man $(B)/doc-check/man || \
	  { echo "NAMESPACE or man/ is not what R/ says: run make doc"; exit 1; }

## site       the documentation as a web site: build/site/index.html
site: install
	@dev/setup.sh site
	@R_LIBS=$(LIB) Rscript dev/site.R $(B)/site

## spell      spelling of the manual, vignettes and Markdown files; inst/WORDLIST has what is right
spell:
	@dev/setup.sh spell
	@Rscript dev/spell.R

## readme     README.md, with its numbers and its picture, from README.Rmd
readme: setup-dev install
	@R_LIBS=$(LIB) Rscript -e 'source("vignettes/pictures.R")' \
	  -e 'knitr::knit("README.Rmd", quiet = TRUE)'

## paste      the code of README and vignettes, pasted into fresh sessions, gives what they print
paste: setup-dev install
	@R_LIBS=$(LIB) Rscript dev/paste.R

## fmt        clang-format the C files in place
fmt: setup-dev
	@clang-format -i $(C_FILES)

## lint       layer rules, clang-format, lintr, documentation up to date and complete
lint: setup-dev doc-check $(B)/lint-rules-fire
	@status=0; \
	  dev/lint.sh || status=1; \
	  clang-format --dry-run --Werror $(C_FILES) || status=1; \
	  Rscript dev/lintr.R || status=1; \
	  Rscript dev/docs.R || status=1; \
	  exit $$status

$(B)/lint-rules-fire: dev/test-lint.sh dev/lint.sh dev/levels.txt
	@dev/test-lint.sh
	@mkdir -p $(B) && touch $@

## clean      remove build/
clean:
	rm -rf $(B)
