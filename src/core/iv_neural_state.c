/* The state of a fit as bytes: whose it is, finished stages, the training that goes on. */
#include "iv_neural.h"

#include <string.h>

enum { OWNER_WORDS = 16, STAGE_WORDS = 5, WORD = 8 };

static const uint64_t state_mark = 0x31304e56494c524d; /* changes with the format */

/* FNV-1a over words. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
  return (hash ^ word) * 0x100000001b3;
}

static uint64_t word_of(double x)
{
  uint64_t word;
  memcpy(&word, &x, sizeof word);
  return word;
}

static uint64_t mix_column(uint64_t hash, const double *x, size_t n)
{
  for (size_t i = 0; x && i < n; i++) {
    hash = mix(hash, word_of(x[i]));
    hash ^= hash >> 29;
  }
  return hash;
}

static uint64_t hash_sample(uint64_t hash, const mrl_iv_sample *s)
{
  hash = mix(mix(mix(hash, s->n), s->n_z), s->n_w);
  hash = mix_column(mix_column(hash, s->x, s->n), s->y, s->n);
  for (size_t j = 0; j < s->n_z; j++) {
    hash = mix_column(hash, s->z[j], s->n);
  }
  for (size_t j = 0; j < s->n_w; j++) {
    hash = mix_column(hash, s->w[j], s->n);
  }
  hash = mix_column(hash, s->weights, s->n);
  for (size_t i = 0; s->cluster && i < s->n; i++) {
    hash = mix(hash, (uint64_t)s->cluster[i]);
  }
  return hash;
}

static uint64_t hash_mlp(uint64_t hash, const mrl_mlp *mlp)
{
  for (size_t i = 0; i < mlp->n_hidden; i++) {
    hash = mix(hash, (uint64_t)mlp->hidden[i]);
  }
  hash = mix(mix(hash, mlp->n_hidden), (uint64_t)mlp->activation);
  return mix(mix(hash, (uint64_t)mlp->batch_norm), word_of(mlp->dropout));
}

static uint64_t hash_training(uint64_t hash, const mrl_train_settings *t)
{
  const mrl_optimizer *o = &t->optimizer;
  const double numbers[] = {t->rate,  o->momentum, o->beta1,          o->beta2,          o->eps,
                            o->decay, o->clip,     t->schedule.floor, t->schedule.factor};
  hash = mix_column(hash, numbers, sizeof numbers / sizeof numbers[0]);
  hash = mix(mix(mix(hash, t->epochs), t->batch), t->patience);
  return mix(mix(mix(hash, (uint64_t)o->kind), (uint64_t)t->schedule.kind), t->schedule.patience);
}

static void owner_words(uint64_t *out, const mrl_ivn *ivn)
{
  const mrl_ivn_settings *s = &ivn->problem.settings;
  uint64_t data = hash_sample(0xcbf29ce484222325, ivn->problem.sample);
  data = ivn->problem.single ? data : hash_sample(data, ivn->problem.sample + 1);
  const uint64_t nets = hash_mlp(hash_mlp(1, &s->first.mlp), &s->second);
  const uint64_t words[OWNER_WORDS] = {
      state_mark,
      sizeof(mrl_real),
      data,
      nets,
      hash_training(1, &s->train),
      s->seed,
      (uint64_t)s->first.kind,
      s->first.parts,
      (uint64_t)(4 * s->first.matched + 2 * s->first.non_crossing + s->binary),
      word_of(s->first.ridge),
      s->cross_fit,
      (uint64_t)s->refit,
      s->n_draws,
      s->n_valid[0],
      s->n_valid[1],
      (uint64_t)mrl_isa_usable(s->isa)};
  memcpy(out, words, sizeof words);
}

static size_t stage_bytes(const mrl_ivn *ivn, size_t s)
{
  const mrl_net *net = mrl_ivn_net(ivn, s);
  return STAGE_WORDS * WORD + ivn->problem.settings.train.epochs * sizeof(mrl_epoch) +
         (net->n_params + net->n_statistics) * sizeof(mrl_real);
}

static int has_training(const mrl_ivn *ivn)
{
  return ivn->at == ivn->problem.settings.cross_fit ||
         ivn->problem.settings.first.kind != MRL_FIRST_RIDGE;
}

size_t mrl_ivn_bytes(const mrl_ivn *ivn)
{
  size_t bytes = (OWNER_WORDS + 1) * WORD;
  for (size_t s = 0; s < ivn->at; s++) {
    bytes += stage_bytes(ivn, s);
  }
  return bytes + (has_training(ivn) ? mrl_train_bytes(&ivn->worker.train) : 0);
}

static unsigned char *put(unsigned char *to, const void *from, size_t n)
{
  memcpy(to, from, n);
  return to + n;
}

void mrl_ivn_save(unsigned char *bytes, const mrl_ivn *ivn)
{
  uint64_t head[OWNER_WORDS + 1];
  owner_words(head, ivn);
  head[OWNER_WORDS] = ivn->at;
  memset(bytes, 0, mrl_ivn_bytes(ivn));
  bytes = put(bytes, head, sizeof head);
  for (size_t s = 0; s < ivn->at; s++) {
    const mrl_ivn_stage *stage = ivn->stage + s;
    const mrl_net *net = mrl_ivn_net(ivn, s);
    const uint64_t words[STAGE_WORDS] = {
        stage->progress.epoch, stage->progress.best_epoch, (uint64_t)stage->progress.stop,
        word_of(stage->progress.best_loss), (uint64_t)stage->status};
    unsigned char *end = bytes + stage_bytes(ivn, s);
    bytes = put(bytes, words, sizeof words);
    bytes = put(bytes, stage->params, (net->n_params + net->n_statistics) * sizeof(mrl_real));
    put(bytes, stage->history, stage->progress.epoch * sizeof(mrl_epoch));
    bytes = end;
  }
  if (has_training(ivn)) {
    mrl_train_save(bytes, &ivn->worker.train);
  }
}

/* A finished stage; 0 if its words are out of range. */
static int read_stage(mrl_ivn *ivn, size_t s, const unsigned char *bytes)
{
  const mrl_net *net = mrl_ivn_net(ivn, s);
  const size_t model = (net->n_params + net->n_statistics) * sizeof(mrl_real);
  mrl_ivn_stage *stage = ivn->stage + s;
  uint64_t words[STAGE_WORDS];
  memcpy(words, bytes, sizeof words);
  if (words[0] > ivn->problem.settings.train.epochs || words[2] > MRL_STOP_DIVERGED ||
      words[4] >= MRL_N_STATUS) {
    return 0;
  }
  const mrl_progress progress = {
      .epoch = (size_t)words[0], .best_epoch = (size_t)words[1], .stop = (mrl_stop)words[2]};
  stage->progress = progress;
  memcpy(&stage->progress.best_loss, words + 3, WORD);
  stage->status = (mrl_status)words[4];
  memcpy(stage->params, bytes + sizeof words, model);
  memcpy(stage->history, bytes + sizeof words + model, progress.epoch * sizeof(mrl_epoch));
  return 1;
}

mrl_status mrl_ivn_load(mrl_ivn *ivn, const unsigned char *bytes, size_t size, const mrl_ctx *ctx)
{
  uint64_t owner[OWNER_WORDS], head[OWNER_WORDS + 1];
  if (size < sizeof head) {
    return MRL_BAD_ARGUMENT;
  }
  owner_words(owner, ivn);
  memcpy(head, bytes, sizeof head);
  if (memcmp(head, owner, sizeof owner) != 0 || head[OWNER_WORDS] >= ivn->n_stages) {
    return MRL_BAD_ARGUMENT;
  }
  const size_t at = (size_t)head[OWNER_WORDS];
  size_t used = sizeof head;
  for (size_t s = 0; s < at; s++) {
    const size_t need = stage_bytes(ivn, s);
    if (need > size - used || !read_stage(ivn, s, bytes + used)) {
      return MRL_BAD_ARGUMENT;
    }
    used += need;
    MRL_TRY(mrl_ivn_end_stage(ivn, ctx));
  }
  if (!has_training(ivn)) {
    return used == size ? MRL_OK : MRL_BAD_ARGUMENT;
  }
  return mrl_train_load(&ivn->worker.train, bytes + used, size - used);
}
