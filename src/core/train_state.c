#include "train_state.h"

#include <string.h>

/* The owner's words are the format's mark, the size of a number, and the shape's. */
enum { OWNER_WORDS = MRL_STATE_OWNER + 2, PROGRESS_WORDS = 8, EPOCH_WORDS = 4, WORD = 8 };

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

static void owner_words(uint64_t *out, const mrl_state_shape *shape)
{
  out[0] = state_mark;
  out[1] = sizeof(mrl_real);
  memcpy(out + 2, shape->owner, sizeof shape->owner);
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

size_t mrl_state_bytes(const mrl_state_shape *shape)
{
  const size_t words = OWNER_WORDS + PROGRESS_WORDS + EPOCH_WORDS * shape->epochs;
  return words * WORD + shape->n_state * sizeof(mrl_real);
}

void mrl_state_write(unsigned char *bytes, const mrl_state_shape *shape,
                     const mrl_progress *progress, const mrl_epoch *history,
                     const mrl_real *numbers)
{
  uint64_t head[OWNER_WORDS + PROGRESS_WORDS];
  owner_words(head, shape);
  progress_words(head + OWNER_WORDS, progress);
  memcpy(bytes, head, sizeof head);
  bytes += sizeof head;
  for (size_t e = 0; e < shape->epochs; e++, bytes += EPOCH_WORDS * WORD) {
    const mrl_epoch none = {0, 0, 0, 0};
    const mrl_epoch *epoch = e < progress->epoch ? history + e : &none;
    const double row[EPOCH_WORDS] = {epoch->train, epoch->valid, epoch->rate, epoch->seconds};
    memcpy(bytes, row, sizeof row);
  }
  memcpy(bytes, numbers, shape->n_state * sizeof(mrl_real));
}

mrl_status mrl_state_read(mrl_progress *progress, mrl_epoch *history, mrl_real *numbers,
                          const mrl_state_shape *shape, const unsigned char *bytes, size_t size)
{
  uint64_t owner[OWNER_WORDS], head[OWNER_WORDS + PROGRESS_WORDS];
  if (size != mrl_state_bytes(shape)) {
    return MRL_BAD_ARGUMENT;
  }
  owner_words(owner, shape);
  memcpy(head, bytes, sizeof head);
  const mrl_progress saved = progress_from(head + OWNER_WORDS);
  if (memcmp(head, owner, sizeof owner) != 0 || saved.epoch > shape->epochs ||
      head[OWNER_WORDS + PROGRESS_WORDS - 1] > MRL_STOP_DIVERGED) {
    return MRL_BAD_ARGUMENT;
  }
  bytes += sizeof head;
  *progress = saved;
  for (size_t e = 0; e < shape->epochs; e++, bytes += EPOCH_WORDS * WORD) {
    double row[EPOCH_WORDS];
    memcpy(row, bytes, sizeof row);
    const mrl_epoch epoch = {row[0], row[1], row[2], row[3]};
    history[e] = epoch;
  }
  memcpy(numbers, bytes, shape->n_state * sizeof(mrl_real));
  return MRL_OK;
}

static mrl_state_shape shape_of(const mrl_train *train)
{
  const mrl_state_shape shape = {{train->net->n_params, train->net->n_statistics, train->n_state,
                                  train->settings.seed, train->settings.epochs,
                                  (uint64_t)train->settings.optimizer.kind, train->n_batches,
                                  train->task.n_train, train->task.n_valid, train->task.group},
                                 train->settings.epochs,
                                 train->n_state};
  return shape;
}

size_t mrl_train_bytes(const mrl_train *train)
{
  const mrl_state_shape shape = shape_of(train);
  return mrl_state_bytes(&shape);
}

void mrl_train_save(unsigned char *bytes, const mrl_train *train)
{
  const mrl_state_shape shape = shape_of(train);
  mrl_state_write(bytes, &shape, &train->progress, train->history, train->state);
}

mrl_status mrl_train_load(mrl_train *train, const unsigned char *bytes, size_t size)
{
  const mrl_state_shape shape = shape_of(train);
  return mrl_state_read(&train->progress, train->history, train->state, &shape, bytes, size);
}
