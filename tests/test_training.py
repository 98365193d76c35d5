"""The training loop against torch's own pieces, a loop by hand, interruptions of every kind, and bad input."""

import itertools
import math
import os
import pickle
import random
import signal
import threading
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from course_utils import training, training_run
from course_utils.checkpoint import CheckpointError, load_checkpoint
from course_utils.history import History
from course_utils.optimisation import trainable_groups
from course_utils.segmentation_losses import LovaszCrossEntropy
from course_utils.training import fit, freeze, unfreeze
from course_utils.training_run import NonFiniteLossError
from tests.training_case import BATCHES, EPOCHS, NoisyPictures, SmallNet, loader, results, train

STEPS = EPOCHS * BATCHES
cross_entropy = nn.functional.cross_entropy


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Two threads on two busy cores wait for each other a thousand times as long as this work takes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def impatient_disk():
    """No power cut is tested here, and waiting for a busy disk at each checkpoint takes minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def undisturbed(one_thread):
    return results(*train())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.pt"


def pictures(n=6, sizes=(4,)):
    """Fixed batches, with batch sizes taken in turn."""
    generator = torch.Generator().manual_seed(1)
    shapes = [(sizes[i % len(sizes)], 8, 8) for i in range(n)]
    return [
        (torch.randn(b, 3, h, w, generator=generator), torch.randint(0, 4, (b, h, w), generator=generator))
        for b, h, w in shapes
    ]


class Spy:
    """A loss that counts its calls and does something at each."""

    def __init__(self, action=lambda call: None, loss_fn=cross_entropy):
        self.calls, self.action, self.loss_fn = 0, action, loss_fn

    def __call__(self, x, y):
        self.calls += 1
        change = self.action(self.calls)
        loss = self.loss_fn(x, y)
        return loss if change is None else loss * change


class Crash(Exception):
    pass


def crash_at(step):
    def action(call):
        if call == step:
            raise Crash

    return Spy(action)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a["model"]:
        assert torch.equal(a["model"][name], b["model"][name]), name
    assert {**a, "model": 0} == {**b, "model": 0}


def close(a, b, **tolerance):
    return all(torch.allclose(p, q, **tolerance) for p, q in zip(a.parameters(), b.parameters(), strict=True))


class TestArithmetic:
    def test_it_equals_a_loop_by_hand(self):
        model, by_hand = SmallNet(), SmallNet()
        history = fit(model, pictures(), epochs=3, lr=0.01, loss_fn=cross_entropy, seed=3, progress=False)

        torch.manual_seed(3)
        vectors = [p for p in by_hand.parameters() if p.ndim == 1]
        matrices = [p for p in by_hand.parameters() if p.ndim > 1]
        groups = [{"params": matrices, "weight_decay": 1e-2}, {"params": vectors, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, betas=(0.95, 0.99), foreach=False)
        scheduler = OneCycleLR(optimizer, 0.01, epochs=3, steps_per_epoch=6)
        losses, rates = [], []
        for _ in range(3):
            for x, y in pictures():
                loss = cross_entropy(by_hand(x), y)
                optimizer.zero_grad()
                loss.backward()
                rates.append(scheduler.get_last_lr()[0])
                optimizer.step()
                scheduler.step()
                losses.append(loss.item())
        assert history.step_losses == pytest.approx(losses, rel=1e-5)
        assert history.step_lrs == rates
        assert close(model, by_hand, atol=1e-6)
        assert not close(model, SmallNet(), atol=1e-3)

    def test_momentum_falls_while_the_learning_rate_rises(self, monkeypatch):
        made = []

        def keep(*arguments):
            made.append(adamw(*arguments))
            return made[-1]

        adamw = training.adamw
        monkeypatch.setattr(training, "adamw", keep)
        betas = []
        loss_fn = Spy(lambda call: betas.append([group["betas"] for group in made[0].param_groups]))
        history = fit(SmallNet(), pictures(10), epochs=2, lr=0.01, loss_fn=loss_fn, pct_start=0.3, progress=False)
        first, second = zip(*(step[0] for step in betas), strict=True)
        assert set(second) == {0.99}
        assert all(step[0] == other for step in betas for other in step)
        # 20 steps: up in steps 0..5, down in 5..19, both along half a cosine.
        share = [i / 5 if i <= 5 else 1 - (i - 5) / 14 for i in range(20)]
        wave = [(1 - math.cos(math.pi * s)) / 2 for s in share]
        assert first == pytest.approx([0.95 - 0.1 * w for w in wave])
        low = [0.01 / 25 if i <= 5 else 0.01 / 25e4 for i in range(20)]
        assert history.step_lrs == pytest.approx([a + (0.01 - a) * w for a, w in zip(low, wave, strict=True)])

    @given(st.integers(1, 12), st.sampled_from([0, 0.1, 0.25, 1 / 3, 0.5, 0.9]))
    @settings(max_examples=40)
    def test_every_length_of_run_has_a_schedule(self, steps, pct_start):
        options = {"epochs": 1, "lr": 0.01, "loss_fn": cross_entropy, "pct_start": pct_start, "progress": False}
        rates = fit(SmallNet(), pictures(steps), **options).step_lrs
        assert len(rates) == steps
        assert all(0 < rate <= 0.01 for rate in rates)

    def test_an_epochs_loss_is_the_mean_over_pictures_not_batches(self):
        history = fit(SmallNet(), pictures(4, (1, 5)), epochs=1, lr=0.01, loss_fn=cross_entropy, progress=False)
        a, b, c, d = history.step_losses
        assert history.last["train_loss"] == pytest.approx((a + 5 * b + c + 5 * d) / 12)

    def test_gradients_are_clipped(self):
        # The first step of Adam forgets the size of a gradient, the second does not.
        plain, clipped = (train(grad_clip=clip, epochs=1)[0] for clip in (None, 1e-9))
        assert not close(plain, clipped, atol=1e-4)
        assert close(plain, train(grad_clip=1e6, epochs=1)[0], atol=0)

    def test_the_seed_decides(self):
        assert_same(results(*train(seed=1)), results(*train(seed=1)))
        assert train(seed=1)[1].step_losses != train(seed=2)[1].step_losses

    def test_batches_are_told_the_epoch(self):
        class Batches(list):
            def set_epoch(self, epoch):
                epochs.append(epoch)

        epochs = []
        train(batches=Batches(pictures()), epochs=3)
        assert epochs == [0, 1, 2]

    def test_evaluation_sees_the_model_as_it_will_be_used(self):
        def evaluate(model):
            return {"training": model.training, "grad": torch.is_grad_enabled(), "tensor": torch.tensor(0.5)}

        model, history = train(evaluate=evaluate)
        assert not model.training
        assert [row["epoch"] for row in history.epochs] == [1, 2, 3, 4]
        assert all((row["training"], row["grad"], row["tensor"]) == (0.0, 0.0, 0.5) for row in history.epochs)
        assert list(history.last) == ["epoch", "train_loss", "lr", "seconds", "training", "grad", "tensor"]
        assert all(row["seconds"] > 0 for row in history.epochs)

    def test_a_loader_with_workers(self):
        history = train(batches=loader(num_workers=1), epochs=1)[1]
        assert len(history.step_losses) == BATCHES


class TestMovingAverage:
    def test_it_equals_an_average_by_hand(self, path):
        model, seen, judged = SmallNet(), [], []

        def keep(call):
            seen.append([tensor.clone() for tensor in model.state_dict().values()])

        def evaluate(judge):
            judged.append((judge.training, [tensor.clone() for tensor in judge.state_dict().values()]))
            return {}

        train(model, batches=pictures(), loss_fn=Spy(keep), evaluate=evaluate, ema=0.6, checkpoint=path, epochs=2)
        last = list(load_checkpoint(path)["model"].values())
        # What a loss sees has the running statistics of its own forward pass, but the parameters of the step before.
        n_parameters = len(list(model.parameters()))
        names = list(model.state_dict())
        kernels = [i for i, name in enumerate(names) if name in dict(model.named_parameters())]
        assert len(kernels) == n_parameters
        for i in kernels:
            steps = [tensors[i] for tensors in seen[1:]] + [last[i]]
            average = steps[0]
            for step in steps[1:]:
                average = 0.6 * average + 0.4 * step
            torch.testing.assert_close(list(model.state_dict().values())[i], average)
            assert torch.equal(judged[-1][1][i], list(model.state_dict().values())[i])
            assert not torch.allclose(average, last[i], atol=1e-5)
        assert [training for training, _ in judged] == [False, False]

    def test_an_average_of_one_step_is_that_step(self):
        assert_same(results(*train(ema=0)), results(*train()))

    def test_it_resumes_bit_for_bit(self, path):
        assert_same(interrupted(path, 9, 4, ema=0.9), results(*train(ema=0.9)))


class TestGroupsAndFreezing:
    def test_each_group_moves_at_its_own_rate(self):
        model, start = SmallNet(), SmallNet()
        after_one = []

        def keep(call):
            if call == 2:
                after_one.extend(p.detach().clone() for p in model.parameters())

        history = train(model, lr=(1e-4, 1e-2), weight_decay=0, loss_fn=Spy(keep))[1]
        moved = [(a - b).abs().max().item() for a, b in zip(after_one, start.parameters(), strict=True)]
        # The first step of Adam is as long as the learning rate, which begins at a 25th.
        assert moved[1:3] == pytest.approx([1e-4 / 25] * 2, rel=0.05)  # the body's batch norm
        assert moved[3:] == pytest.approx([1e-2 / 25] * 2, rel=0.05)  # the head
        assert max(history.step_lrs) == pytest.approx(1e-2, rel=0.05)

    def test_equal_rates_equal_one_rate(self):
        assert close(train(lr=[1e-2, 1e-2])[0], train(lr=1e-2)[0], atol=1e-6)

    @pytest.mark.parametrize("train_norm", [True, False])
    def test_what_is_frozen_stays_bit_for_bit_and_costs_no_state(self, path, train_norm):
        model, start = SmallNet(), SmallNet()
        freeze(model.body, train_norm)
        train(model, lr=(1e-2, 1e-2), weight_decay=0.5, checkpoint=path)
        same = [torch.equal(a, b) for a, b in zip(model.parameters(), start.parameters(), strict=True)]
        assert same == [True, not train_norm, not train_norm, False, False]
        assert len(load_checkpoint(path)["optimizer"]["state"]) == same.count(False)
        assert all(parameter.grad is None for parameter in model.parameters() if not parameter.requires_grad)
        unfreeze(model.body)
        train(model)
        assert not torch.equal(model.body[0].weight, start.body[0].weight)

    def test_weight_decay_spares_biases_and_norms(self):
        model, start = SmallNet(), SmallNet()
        fit(
            model,
            [(x * 0, y) for x, y in pictures()],
            epochs=1,
            lr=0.1,
            loss_fn=lambda x, y: x.sum() * 0,
            weight_decay=0.5,
            progress=False,
        )
        for a, b in zip(model.parameters(), start.parameters(), strict=True):
            assert torch.equal(a, b) == (a.ndim == 1)
            assert a.norm() <= b.norm()


class TestPrecisionAndSpeed:
    def test_bfloat16(self):
        seen = set()

        def loss_fn(x, y):
            seen.add(x.dtype)
            return cross_entropy(x, y)

        def evaluate(model):
            return {"bf16": model(torch.ones(1, 3, 8, 8)).dtype is torch.bfloat16}

        model, history = train(amp=torch.bfloat16, loss_fn=loss_fn, evaluate=evaluate)
        assert seen == {torch.bfloat16}
        assert history.last["bf16"] == 1
        assert all(parameter.dtype is torch.float32 for parameter in model.parameters())
        assert history.step_losses == pytest.approx(train()[1].step_losses, rel=0.05)

    def test_channels_last_is_the_same_maths(self):
        seen = []
        # Dropout draws its mask in the order of memory, so that the formats drop other pixels.
        model, plain = SmallNet(dropout=0), SmallNet(dropout=0)
        model.body[0].register_forward_pre_hook(lambda module, args: seen.append(args[0].stride()))
        history = train(model, batches=pictures(), channels_last=True)[1]
        assert seen[0] == (192, 1, 24, 3)
        assert model.head.weight.is_contiguous(memory_format=torch.channels_last)
        assert history.step_losses == pytest.approx(train(plain, batches=pictures())[1].step_losses, rel=1e-4)

    def test_compiling_leaves_the_callers_module_alone(self, monkeypatch):
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
        plain, history = train(epochs=1)
        compiled, compiled_history = train(epochs=1, compile=True)
        assert type(compiled) is SmallNet
        assert list(compiled.state_dict()) == list(plain.state_dict())
        assert compiled_history.step_losses == pytest.approx(history.step_losses, rel=1e-4)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
    @pytest.mark.parametrize("amp", [None, torch.bfloat16, torch.float16])
    def test_on_a_gpu(self, path, amp):
        options = {"amp": amp, "channels_last": True, "evaluate": None, "checkpoint": path, "checkpoint_every": 4}
        with pytest.raises(Crash):
            train(SmallNet().cuda(), loss_fn=crash_at(15), **options)
        model, history = train(SmallNet().cuda(), **options)
        assert len(history.step_losses) == STEPS
        assert model.head.weight.is_cuda
        assert math.isfinite(history.last["train_loss"])


def interrupted(path, step, every, model=None, batches=None, **options):
    """A run that crashes at `step` and is then taken up by a fresh model, loader and random state."""
    options = {"checkpoint": path, "checkpoint_every": every} | options
    with pytest.raises(Crash):
        train(model and model(), batches and batches(), **options | {"loss_fn": crash_at(step)})
    torch.manual_seed(99)
    random.seed(99)
    return results(*train(model and model(), batches and batches(), **options))


def with_batch_sampler():
    """A loader whose order is drawn two objects deeper."""
    order = RandomSampler(NoisyPictures(), generator=torch.Generator().manual_seed(4))
    return DataLoader(NoisyPictures(), batch_sampler=BatchSampler(order, 4, drop_last=False))


class TestResuming:
    @given(st.integers(1, STEPS), st.sampled_from([None, 1, 2, 5, 6]))
    @settings(max_examples=15)
    def test_it_ends_bit_for_bit_where_it_would_have_ended(self, tmp_path_factory, undisturbed, step, every):
        assert_same(interrupted(tmp_path_factory.mktemp("run") / "run.pt", step, every), undisturbed)

    @pytest.mark.parametrize(
        "options",
        [
            {"channels_last": True},
            {"amp": torch.bfloat16, "grad_clip": 0.1},
            {"lr": (1e-4, 1e-2)},
            {"batches": lambda: loader(generator=torch.Generator().manual_seed(4))},
            {"batches": with_batch_sampler},
            {"batches": lambda: loader(num_workers=1), "epochs": 2},
        ],
        ids=["channels_last", "bfloat16", "groups", "own generator", "batch sampler", "workers"],
    )
    def test_with_options(self, path, options):
        batches = options.pop("batches", loader)
        model, history = train(batches=batches(), **options)
        assert_same(interrupted(path, 9, 4, batches=batches, **options), results(model, history))

    def test_moments_follow_the_memory_format_of_the_parameters(self, path):
        def train_on(memory_format, loss_fn=cross_entropy):
            model = SmallNet(dropout=0).to(memory_format=memory_format)
            return train(model, checkpoint=path, checkpoint_every=4, loss_fn=loss_fn)[0]

        with pytest.raises(Crash):
            train_on(torch.contiguous_format, crash_at(20))
        assert close(train_on(torch.channels_last), train(SmallNet(dropout=0))[0], atol=1e-5)

    def test_frozen_parts_stay_frozen(self, path):
        def frozen():
            model = SmallNet()
            freeze(model.body)
            return model

        assert_same(interrupted(path, 9, 4, model=frozen), results(*train(frozen())))

    def test_a_finished_run_returns_at_once(self, path, undisturbed):
        train(checkpoint=path)
        loss_fn = Spy()
        again = results(*train(SmallNet(), checkpoint=path, loss_fn=loss_fn))
        assert loss_fn.calls == 0
        assert_same(again, undisturbed)

    def test_without_resume_it_begins_anew(self, path, undisturbed):
        with pytest.raises(Crash):
            train(checkpoint=path, loss_fn=crash_at(10), seed=5)
        loss_fn = Spy()
        assert_same(results(*train(checkpoint=path, resume=False, loss_fn=loss_fn)), undisturbed)
        assert loss_fn.calls == STEPS

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"epochs": 5}, "epochs was 4 and is 5"),
            ({"lr": 0.1}, r"lr was \[0\.01\] and is \[0\.1\]"),
            ({"batches": pictures(3)}, "batches per epoch was 6 and is 3"),
            ({"amp": torch.bfloat16}, "amp was 'None' and is 'torch.bfloat16'"),
            ({"channels_last": True}, "channels_last was False and is True"),
            ({"seed": 1}, "seed was 0 and is 1"),
            ({"weight_decay": 0.1}, r"weight_decay was 0\.01 and is 0\.1"),
            ({"model": nn.Conv2d(3, 4, 1)}, "number of parameters was 524 and is 16"),
        ],
    )
    def test_another_runs_checkpoint_is_refused_before_any_harm(self, path, options, message):
        train(checkpoint=path)
        model = options.pop("model", None) or SmallNet()
        before = [parameter.clone() for parameter in model.parameters()]
        written = path.read_bytes()
        with pytest.raises(CheckpointError, match=f"another run: .*{message}.*use the same settings to continue it"):
            train(model, checkpoint=path, **options)
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        assert path.read_bytes() == written


class TestInterrupting:
    @pytest.fixture(autouse=True)
    def handler(self):
        before = signal.getsignal(signal.SIGINT)
        yield
        assert signal.getsignal(signal.SIGINT) is before

    @staticmethod
    def press_at(step, times=1):
        def action(call):
            for _ in range(times if call == step else 0):
                signal.raise_signal(signal.SIGINT)

        return Spy(action)

    @pytest.mark.parametrize("step, finished", [(8, 1), (BATCHES, 0), (STEPS, 3)])
    def test_ctrl_c_finishes_the_step_and_says_how_to_continue(self, path, undisturbed, step, finished):
        sentence = f"stopped after step {step}, with {finished} of 4 epochs finished; call fit with the same arguments"
        with pytest.raises(KeyboardInterrupt, match=f"{sentence} to continue from .*run.pt"):
            train(checkpoint=path, loss_fn=self.press_at(step))
        assert len(load_checkpoint(path)["history"]["step_losses"]) == step
        assert_same(results(*train(checkpoint=path)), undisturbed)

    @pytest.mark.parametrize("error", [RuntimeError("DataLoader worker (pid 1) exited"), FileNotFoundError(2, "gone")])
    @pytest.mark.parametrize(
        "deaths, steps", [([2], [2]), ([0], [0]), ([BATCHES], [BATCHES]), ([2, 1], [2, 2]), ([2, 2, 4], [2, 2, 4])]
    )
    def test_ctrl_c_that_ends_the_loaders_workers_too_loses_nothing(self, path, undisturbed, deaths, steps, error):
        class Dying:
            """The loader; a terminal's Ctrl-C ends it, as it ends workers that do not defer it."""

            loader, left = loader(), None

            def __len__(self):
                return len(self.loader)

            def __iter__(self):
                iterator = iter(self.loader)
                while self.left is None or self.left > 0:
                    self.left = None if self.left is None else self.left - 1
                    try:
                        batch = next(iterator)
                    except StopIteration:
                        return
                    yield batch
                signal.raise_signal(signal.SIGINT)
                raise error

        batches = Dying()
        for batches.left, step in zip(deaths, steps, strict=True):
            how = "continue from" if step else "begin again"
            with pytest.raises(KeyboardInterrupt, match=f"stopped after step {step}, .*; call fit .* to {how}"):
                train(SmallNet(), batches, checkpoint=path)
        batches.left = None
        assert_same(results(*train(SmallNet(), batches, checkpoint=path)), undisturbed)

    def test_workers_that_end_without_ctrl_c_are_an_error(self, path):
        def dying():
            yield from itertools.islice(loader(), 2)
            raise RuntimeError("DataLoader worker (pid 1) exited unexpectedly")

        class Batches:
            __len__, __iter__ = lambda self: BATCHES, lambda self: dying()

        with pytest.raises(RuntimeError, match="exited unexpectedly"):
            train(SmallNet(), Batches(), checkpoint=path)

    def test_ctrl_c_during_evaluation(self, path):
        def evaluate(model):
            signal.raise_signal(signal.SIGINT)
            return {}

        with pytest.raises(KeyboardInterrupt, match="stopped after step 6, with 1 of 4 epochs finished"):
            train(checkpoint=path, evaluate=evaluate)
        assert load_checkpoint(path)["epoch"] == 1

    def test_without_a_checkpoint_the_sentence_says_so(self):
        with pytest.raises(KeyboardInterrupt, match=r"after step 3, .*only checkpoint=\.\.\. lets a run continue"):
            train(loss_fn=self.press_at(3))

    def test_the_model_is_left_as_it_would_be_used(self, path):
        model = SmallNet()
        with pytest.raises(KeyboardInterrupt):
            train(model, loss_fn=self.press_at(3), ema=0.5, checkpoint=path)
        assert not any(module.training for module in model.modules())
        average = load_checkpoint(path)["average"]
        assert all(torch.equal(tensor, average[f"module.{name}"]) for name, tensor in model.state_dict().items())

    def test_a_second_ctrl_c_acts_at_once(self, path):
        with pytest.raises(KeyboardInterrupt, match="at once"):
            train(checkpoint=path, loss_fn=self.press_at(3, times=2))
        assert not path.exists()

    def test_other_threads_leave_signals_alone(self):
        handlers = []
        loss_fn = Spy(lambda call: handlers.append(signal.getsignal(signal.SIGINT)))
        thread = threading.Thread(target=train, kwargs={"epochs": 1, "loss_fn": loss_fn})
        thread.start()
        thread.join()
        assert set(handlers) == {signal.getsignal(signal.SIGINT)}

    def test_the_handler_comes_back_after_an_error(self):
        with pytest.raises(Crash):
            train(loss_fn=crash_at(2))


class TestNonFinite:
    @pytest.mark.parametrize("value, word", [(math.inf, "inf"), (math.nan, "nan")])
    @pytest.mark.parametrize("every", [1, 25], ids=["as on a CPU", "as on a GPU"])
    def test_it_is_reported_with_its_place_and_no_checkpoint_holds_it(self, path, monkeypatch, value, word, every):
        monkeypatch.setitem(training_run.STEPS_BETWEEN_LOOKS, "cpu", every)
        poison = Spy(lambda call: value if call == 11 else None)
        sentence = (
            rf"the loss became {word} at step 11 \(epoch 2 of 4, learning rate 0\.00\d+\): lower lr.*run.pt holds"
        )
        with pytest.raises(NonFiniteLossError, match=sentence):
            train(checkpoint=path, checkpoint_every=2, loss_fn=poison)
        saved = load_checkpoint(path)
        assert len(saved["history"]["step_losses"]) == 10
        assert all(tensor.isfinite().all() for tensor in saved["model"].values())

    def test_on_a_cpu_the_parameters_are_still_good(self):
        model = SmallNet()
        with pytest.raises(NonFiniteLossError, match=r"or for a batch in which no pixel has a class\.$"):
            train(model, loss_fn=Spy(lambda call: math.nan if call == 3 else None))
        assert all(parameter.isfinite().all() for parameter in model.parameters())

    @staticmethod
    def flat_root_at(step):
        def loss_fn(x, y):  # a square root has no slope at zero
            root = ((x - x) ** 2).sum().sqrt() if spy.calls == step else 0
            return cross_entropy(x, y) + root

        spy = Spy(loss_fn=loss_fn)
        return spy

    def test_a_finite_loss_with_a_bad_gradient_is_not_saved_either(self, path):
        with pytest.raises(NonFiniteLossError, match=r"a parameter became infinite or nan at step 8 \(epoch 2"):
            train(checkpoint=path, checkpoint_every=1, loss_fn=self.flat_root_at(8))
        assert len(load_checkpoint(path)["history"]["step_losses"]) == 7

    def test_the_last_step_is_looked_at_too_without_a_checkpoint_and_before_any_score(self):
        judged = []
        with pytest.raises(NonFiniteLossError, match=rf"a parameter became infinite or nan at step {STEPS} "):
            train(loss_fn=self.flat_root_at(STEPS), evaluate=lambda model: judged.append(model) or {})
        assert len(judged) == EPOCHS - 1

    def test_a_batch_norm_that_has_seen_too_much_is_noticed(self):
        huge = [(1e30 * x, y) for x, y in pictures(n=1)]
        with pytest.raises(NonFiniteLossError, match="a norm's running statistic became infinite or nan at step 1"):
            train(batches=huge, epochs=1)

    def test_looking_rarely_gives_the_same_history(self, monkeypatch):
        often = results(*train())
        monkeypatch.setitem(training_run.STEPS_BETWEEN_LOOKS, "cpu", 4)
        assert_same(results(*train()), often)


class Endless:
    def __iter__(self):
        return iter(pictures())


class WrongLength(list):
    def __init__(self, batches, length):
        super().__init__(batches)
        self.length = length

    def __len__(self):
        return self.length


class Forgetful(SmallNet):
    def parameter_groups(self):
        return super().parameter_groups()[:1]


def frozen_net():
    return SmallNet().requires_grad_(False)


class TestBadInput:
    @pytest.mark.parametrize(
        "options, message",
        [
            ({"epochs": 0}, "epochs=0 is not a whole number of at least 1"),
            ({"epochs": 2.5}, r"epochs=2\.5 is not a whole number"),
            ({"lr": 0}, "lr=0 is not positive"),
            ({"lr": "1e-3"}, "lr='1e-3' is neither a number nor a list of them"),
            ({"lr": None}, "lr=None is neither a number nor a list of them"),
            ({"lr": [1e-3, "1e-3"]}, "lr=.* is neither a number nor a list of them"),
            ({"lr": -1e-3}, r"lr=-0\.001 is not positive"),
            ({"lr": math.nan}, "lr=nan is not positive"),
            ({"lr": [1e-3, 0]}, r"lr=\[0\.001, 0\] is not positive"),
            ({"lr": [1e-3]}, r"lr=\[0\.001\] gives 1 rates for 2 parameter groups; give one for each"),
            (
                {"lr": [1e-3, 1e-3], "model": nn.Conv2d(3, 4, 1)},
                r"Conv2d has no parameter_groups\(\) .*; pass one number",
            ),
            ({"lr": [1e-3], "model": Forgetful()}, r"parameter_groups\(\) of Forgetful leaves out"),
            ({"model": frozen_net()}, r"no parameter to train; call unfreeze\(model\)"),
            ({"model": nn.ReLU()}, "no parameter to train"),
            ({"batches": []}, "batches is empty; check the split"),
            ({"batches": Endless()}, "batches has no length, which the schedule needs"),
            ({"pct_start": 1}, "pct_start=1 is not a share"),
            ({"pct_start": "0.3"}, "pct_start='0.3' is not a share"),
            ({"weight_decay": None}, "weight_decay=None is not a number"),
            ({"seed": 1.5}, r"seed=1\.5 is not a whole number"),
            ({"seed": 2**64}, "seed=18446744073709551616 is not a whole number of 64 bits"),
            ({"compile": "no"}, "compile='no' is not True or False"),
            ({"grad_clip": 0.0}, r"grad_clip=0\.0 is not positive; None"),
            ({"ema": Fraction(1, 2)}, r"ema=Fraction\(1, 2\) is not a share"),
            ({"label": 3}, "label=3 is not text"),
            ({"ema": 1}, "ema=1 is not a share from 0 up to"),
            ({"checkpoint_every": 0}, "checkpoint_every=0 is not a whole number of at least 1"),
            ({"amp": torch.float32}, r"amp=torch\.float32 is not None, torch\.bfloat16 or torch\.float16"),
            ({"amp": torch.float16}, r"amp=torch\.float16 needs CUDA, and the model is on cpu; take torch\.bfloat16"),
        ],
    )
    def test_one_sentence_before_the_first_step(self, options, message):
        loss_fn = Spy()
        state = torch.get_rng_state()
        with pytest.raises(ValueError, match=message) as caught:
            train(**{"loss_fn": loss_fn} | options)
        assert "\n" not in str(caught.value)
        assert loss_fn.calls == 0
        assert torch.equal(torch.get_rng_state(), state) or "model" not in options

    def test_a_checkpoint_that_cannot_be_written(self, tmp_path):
        loss_fn = Spy()
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="choose a folder you may write to"):
            train(checkpoint=tmp_path / "file" / "run.pt", loss_fn=loss_fn)
        assert loss_fn.calls == 0

    @pytest.mark.parametrize(
        "length, message", [(7, "yielded 6 batches, and its .* is 7"), (5, "more than the 5 batches")]
    )
    def test_a_length_that_lies(self, length, message):
        with pytest.raises(RuntimeError, match=message):
            train(batches=WrongLength(pictures(), length))

    @pytest.mark.parametrize("loss", [1.0, None, torch.tensor(1.0)])
    def test_a_loss_without_a_gradient(self, loss):
        with pytest.raises(ValueError, match="return a number computed from the model's output"):
            train(loss_fn=lambda x, y: loss)

    def test_a_checkpoint_that_another_run_writes(self, path):
        def second_run(model):
            with pytest.raises(OSError, match=r"another process is at work on .*run\.pt; let it end, or name another"):
                train(checkpoint=path, resume=False)
            return {}

        train(checkpoint=path, evaluate=second_run, epochs=1)

    def test_a_loss_for_each_pixel(self):
        with pytest.raises(ValueError, match=r"a tensor of shape \(4, 8, 8\); return its mean"):
            train(loss_fn=partial(cross_entropy, reduction="none"))

    def test_metrics_named_like_a_column_of_fit(self):
        with pytest.raises(ValueError, match="evaluate returned 'train_loss', a column that fit writes itself"):
            train(evaluate=lambda model: {"train_loss": 0})


class TestHistory:
    def test_last(self):
        rows = [{"epoch": 1}, {"epoch": 2}]
        assert History(rows).last is rows[1]
        with pytest.raises(ValueError, match="the history is empty"):
            _ = History().last

    def test_it_survives_pickle(self):
        history = train()[1]
        assert pickle.loads(pickle.dumps(history)) == history


class TestProgress:
    def test_one_bar_on_standard_error_and_nothing_else(self, capsys, monkeypatch):
        monkeypatch.delenv("TQDM_DISABLE", raising=False)
        monkeypatch.setattr(training, "progress_bar", partial(training.progress_bar, mininterval=0, miniters=1))
        train(progress=True, label="decoder", batches=pictures())
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "decoder" in printed.err and f"/{STEPS}" in printed.err and "loss=" in printed.err
        assert "mean=" in printed.err

    def test_it_can_be_silent(self, capsys):
        train(progress=False)
        printed = capsys.readouterr()
        assert printed.out == printed.err == ""


@pytest.mark.parametrize("metrics", [None, 0.5, {1: 0.5}, {"accuracy": "good"}, {"accuracy": "1"}, {"accuracy": None}])
def test_what_evaluate_returns_must_be_numbers_by_name(metrics):
    with pytest.raises(ValueError, match=r"evaluate returned .*; return a dict of numbers by name") as caught:
        train(evaluate=lambda model: metrics)
    assert "\n" not in str(caught.value)


def test_a_recipe_is_text(tmp_path):
    with pytest.raises(ValueError, match="is not text"):
        train(recipe=tmp_path)
    train(recipe=np.str_("x"), channels_last=np.bool_(False), checkpoint=tmp_path / "r.pt")
    load_checkpoint(tmp_path / "r.pt")


@pytest.mark.parametrize("rates", [torch.tensor([1e-4, 1e-3]), np.array([1e-4, 1e-3]), iter([1e-4, 1e-3])])
def test_rates_come_in_any_list(rates):
    assert [rate for _, rate in trainable_groups(SmallNet(), rates)] == pytest.approx([1e-4, 1e-3])


def test_a_single_step_has_the_full_rate():
    model = SmallNet()
    batches = [next(iter(loader()))]
    history = fit(model, batches, epochs=1, lr=1e-2, loss_fn=nn.CrossEntropyLoss(), progress=False)
    assert history.step_lrs == [1e-2]


def test_a_loss_without_brackets_is_named():
    with pytest.raises(ValueError, match=r"loss_fn=CrossEntropyLoss is a class; give one of it, CrossEntropyLoss\(\)"):
        train(loss_fn=nn.CrossEntropyLoss)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"image": torch.zeros(1, 3, 8, 8), "mask": torch.zeros(1, 8, 8)}, "yielded an object of type dict"),
        ((), "yielded a tuple of 0; each batch is a pair"),
        ([torch.zeros(3, 8, 8)] * 64, "yielded a list of 64; each batch is a pair"),
        ((torch.zeros(1, 3, 8, 8), torch.zeros(1, 8, 8), "name"), r"type str\); each batch is a pair"),
        ((torch.zeros(1, 3, 8, 8), np.zeros((1, 8, 8))), r"type ndarray\); each batch is a pair"),
        ((torch.zeros(1, 3, 8, 8), (torch.zeros(1), torch.zeros(1))), r"type tuple\); each batch is a pair"),
    ],
)
def test_a_batch_is_a_pair_of_tensors(batch, said):
    with pytest.raises(ValueError, match=said):
        fit(nn.Conv2d(3, 2, 1), [batch], epochs=1, lr=0.1, loss_fn=nn.CrossEntropyLoss(), progress=False)


X, Y = torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4).long()
X8 = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ((X[:0], Y[:0]), r"an empty batch, x torch.float32 of shape \(0, 3, 4, 4\)"),
        ((X8, Y), r"x torch.uint8 .* normalise bytes, and yield x.to\(torch.float32\)"),
        (
            (X.double(), Y),
            r"the model, of torch.float32, fails on x torch.float64 of shape .* yield x.to\(torch.float32\)",
        ),
        ((X, Y.byte()), r"y is torch.uint8, and nn.CrossEntropyLoss takes codes as torch.int64: yield y.long\(\)"),
        ((X, Y.float()), r"y is torch.float32, .* yield y.long\(\)"),
        ((X, Y[:, :3]), r"scores \(2, 2, 4, 4\) and y is torch.int64 of shape \(2, 3, 4\)"),
        ((X, Y[:, None]), "codes .* of one size"),
        ((X, Y + 2), "y holds the code 2, which is neither one of 2 classes, 0 to 1, nor ignore_index=-100"),
        ((X, Y * 0 + 255), "code 255, .* if that code is void, give the loss ignore_index=255"),
        ((X, Y - 1), "y holds the code -1"),
    ],
)
def test_a_batch_that_no_step_can_use_is_one_sentence(batch, said):
    with pytest.raises(ValueError, match=said):
        fit(nn.Conv2d(3, 2, 1), [batch], epochs=1, lr=0.1, loss_fn=nn.CrossEntropyLoss(), progress=False)


@pytest.mark.parametrize(
    ("loss_fn", "batch"),
    [
        (nn.CrossEntropyLoss(ignore_index=7), (X, torch.tensor([0, 1, 7, 7]).expand(2, 4, 4))),
        (nn.CrossEntropyLoss(), (X, torch.full((2, 2, 4, 4), 0.5))),
        (lambda scores, y: scores.mean() * y.float().mean(), (X, Y.byte())),
        (LovaszCrossEntropy(ignore_index=-100), (X, Y.byte())),
    ],
    ids=["void", "probabilities", "another loss", "lovasz"],
)
def test_a_batch_that_its_loss_can_use_is_left_alone(loss_fn, batch):
    history = fit(nn.Conv2d(3, 2, 1), [batch], epochs=1, lr=0.1, loss_fn=loss_fn, progress=False)
    assert math.isfinite(history.step_losses[0])


def test_a_model_may_take_bytes():
    class Normalising(nn.Conv2d):
        def forward(self, x):
            return super().forward(x.float() / 255)

    fit(Normalising(3, 2, 1), [(X8, Y)], epochs=1, lr=0.1, loss_fn=nn.CrossEntropyLoss(), progress=False)


def test_mixed_precision_takes_any_float():
    model = nn.Conv2d(3, 2, 1)
    batch = (X.bfloat16(), Y)
    fit(model, [batch], epochs=1, lr=0.1, loss_fn=nn.CrossEntropyLoss(), amp=torch.bfloat16, progress=False)


def test_a_complex_loss_is_named():
    with pytest.raises(ValueError, match=r"loss_fn returned torch\.complex64; return a real number"):
        fit(nn.Conv2d(3, 2, 1), [(X, Y)], epochs=1, lr=0.1, loss_fn=lambda s, y: s.mean() * 1j, progress=False)
