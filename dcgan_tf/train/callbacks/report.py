"""The run's report, written while the training runs."""

from dcgan_tf.common.runs import Run, sample_file
from dcgan_tf.report.page import write_report
from dcgan_tf.train.callbacks.base import PeriodicImage

SECONDS = 20  # between two pages, and more if a page takes long to write


class RunReport(PeriodicImage):
    """Writes report.html after each sample grid; the page reloads itself until training ends."""

    def __init__(self, run: Run):
        super().__init__(run.report)
        self._run = run

    def on_train_begin(self, logs=None):
        """Let the first grid have its page at once."""

    def on_epoch_end(self, epoch, logs=None):
        if sample_file(self._run.samples, epoch + 1).exists() and not self.is_last(epoch):
            self.redraw(SECONDS)

    def draw(self):
        write_report((self._run,), self.path, running=True)

    def on_train_end(self, logs=None):
        """The command writes the final page."""
