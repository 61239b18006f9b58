#include "train.h"

#include <string.h>

/* A saved state: words that say whose it is, the progress, the history, the numbers. */
enum { OWNER_WORDS = 12, PROGRESS_WORDS = 8, EPOCH_WORDS = 4, WORD = 8 };

static const uint64_t state_mark = 0x32304e4c524d; /* changes with the format */

static uint64_t word_of(double x)
{
  uint64_t word;
  memcpy(&word, &x, sizeof word);
  return word;
}

static double double_of(uint64_t word)
{
  double x;
  memcpy(&x, &word, sizeof x);
  return x;
}

static void owner_words(uint64_t *out, const mrl_train *train)
{
  const uint64_t words[OWNER_WORDS] = {state_mark,
                                       sizeof(mrl_real),
                                       train->net->n_params,
                                       train->net->n_statistics,
                                       train->n_state,
                                       train->settings.seed,
                                       train->settings.epochs,
                                       (uint64_t)train->settings.optimizer.kind,
                                       train->n_batches,
                                       train->task.n_train,
                                       train->task.n_valid,
                                       train->task.group};
  memcpy(out, words, sizeof words);
}

static void progress_words(uint64_t *out, const mrl_progress *p)
{
  const uint64_t words[PROGRESS_WORDS] = {p->epoch,
                                          p->step,
                                          p->best_epoch,
                                          p->bad,
                                          word_of(p->best_loss),
                                          word_of(p->plateau.factor),
                                          p->plateau.bad,
                                          (uint64_t)p->stop};
  memcpy(out, words, sizeof words);
}

static mrl_progress progress_from(const uint64_t *words)
{
  const mrl_progress p = {.epoch = (size_t)words[0],
                          .step = words[1],
                          .best_epoch = (size_t)words[2],
                          .bad = (size_t)words[3],
                          .best_loss = double_of(words[4]),
                          .plateau = {double_of(words[5]), (size_t)words[6]},
                          .stop = (mrl_stop)words[7]};
  return p;
}

size_t mrl_train_bytes(const mrl_train *train)
{
  const size_t words = OWNER_WORDS + PROGRESS_WORDS + EPOCH_WORDS * train->settings.epochs;
  return words * WORD + train->n_state * sizeof(mrl_real);
}

void mrl_train_save(unsigned char *bytes, const mrl_train *train)
{
  uint64_t head[OWNER_WORDS + PROGRESS_WORDS];
  owner_words(head, train);
  progress_words(head + OWNER_WORDS, &train->progress);
  memcpy(bytes, head, sizeof head);
  bytes += sizeof head;
  for (size_t e = 0; e < train->settings.epochs; e++, bytes += EPOCH_WORDS * WORD) {
    const mrl_epoch none = {0, 0, 0, 0};
    const mrl_epoch *epoch = e < train->progress.epoch ? train->history + e : &none;
    const double row[EPOCH_WORDS] = {epoch->train, epoch->valid, epoch->rate, epoch->seconds};
    memcpy(bytes, row, sizeof row);
  }
  memcpy(bytes, train->state, train->n_state * sizeof(mrl_real));
}

mrl_status mrl_train_load(mrl_train *train, const unsigned char *bytes, size_t size)
{
  uint64_t owner[OWNER_WORDS], head[OWNER_WORDS + PROGRESS_WORDS];
  if (size != mrl_train_bytes(train)) {
    return MRL_BAD_ARGUMENT;
  }
  owner_words(owner, train);
  memcpy(head, bytes, sizeof head);
  const mrl_progress progress = progress_from(head + OWNER_WORDS);
  if (memcmp(head, owner, sizeof owner) != 0 || progress.epoch > train->settings.epochs ||
      head[OWNER_WORDS + PROGRESS_WORDS - 1] > MRL_STOP_DIVERGED) {
    return MRL_BAD_ARGUMENT;
  }
  bytes += sizeof head;
  train->progress = progress;
  for (size_t e = 0; e < train->settings.epochs; e++, bytes += EPOCH_WORDS * WORD) {
    double row[EPOCH_WORDS];
    memcpy(row, bytes, sizeof row);
    const mrl_epoch epoch = {row[0], row[1], row[2], row[3]};
    train->history[e] = epoch;
  }
  memcpy(train->state, bytes, train->n_state * sizeof(mrl_real));
  return MRL_OK;
}
