"""Balance a pole that is seen, but not how fast it moves: a policy with memory, learned by REINFORCE.

    pip install '.[examples]'       # in a clone of pylstm
    python examples/balance_a_pole.py [--quick]

CartPole-v1 of gymnasium, without its two velocities: from position and angle alone no rule without memory holds the
pole. A GRU of 16 units sees them step by step, a stream for 32 carts; after each round it runs over all that they
saw, and the gradient goes back to the first step. It ends when the poles stay up 475 of 500 steps, as the task asks:
after 52 rounds, 2 s. Beside it the same net, learning as long, whose memory is emptied before each step: 49 steps.
"""

import argparse
import time

import gymnasium
import numpy as np

import pylstm

CARTS = 32


def play(model, carts, rng, memory=True, seed=None):
    """One episode of all carts: what they saw (T, B, 2), what they did (T, B), and who was still up (T, B)."""
    stream = model.layer.stream(batch_size=CARTS)
    observed, up, seen = carts.reset(seed=seed)[0], np.ones(CARTS, bool), []
    while up.any():
        x = np.ascontiguousarray(observed[:, [0, 2]] * [1, 5], "float32")
        left, right = model.head(stream.step(x, reset=None if memory else np.ones(CARTS, bool))).y.T
        action = (rng.random(CARTS) < 1 / (1 + np.exp(left - right))).astype(int)
        seen.append((x, action, up))
        observed, _, fell, ended, _ = carts.step(action)
        up = up & ~(fell | ended)
    return (np.stack(each) for each in zip(*seen))


def learn(model, optimiser, x, action, up, memory=True):
    """A step uphill: actions after which the pole stayed up longer than on average become likelier."""
    left = np.cumsum(up[::-1], axis=0)[::-1]  # steps until it falls
    advantage = np.where(up, (left - left[up].mean()) / left[up].std(), 0)
    run = model.layer(x, reset=None if memory else np.ones(up.shape, bool))
    head = model.head(run.y)
    chance = np.exp(head.y - head.y.max(axis=-1, keepdims=True))
    chance /= chance.sum(axis=-1, keepdims=True)
    dhead = head.backward(((chance - np.eye(2)[action]) * advantage[..., None] / up.sum()).astype("float32"))
    grads = [run.backward(dhead.x).params, dhead.params]
    pylstm.clip_by_norm(grads, 1.0)
    optimiser.step(grads)


def train(rounds, memory):
    """Mean steps that the pole stayed up, round by round."""
    model = pylstm.SequenceModel("gru", 2, 16, 2, read="every", seed=0)
    optimiser = pylstm.Adam(model.params, lr=0.02)
    carts = gymnasium.make_vec("CartPole-v1", num_envs=CARTS, vectorization_mode="vector_entry_point")
    rng, stayed = np.random.default_rng(0), []
    while len(stayed) < rounds and np.mean(stayed[-5:] or 0) < 475:
        x, action, up = play(model, carts, rng, memory, seed=len(stayed))
        stayed.append(up.sum(axis=0).mean())
        learn(model, optimiser, x, action, up, memory)
    return stayed


def main(quick: bool) -> None:
    """Train both."""
    start = time.perf_counter()
    stayed = train(40 if quick else 300, memory=True)
    print(
        f"GRU             {np.mean(stayed[-5:]):4.0f} steps of 500 after {len(stayed)} rounds of {CARTS} carts, "
        f"{time.perf_counter() - start:.0f} s"
    )
    print(f"without memory  {np.mean(train(len(stayed), memory=False)[-5:]):4.0f}")
    print(f"at first        {stayed[0]:4.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    main(parser.parse_args().quick)
