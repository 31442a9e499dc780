"""What has a name is whole and on the disk."""

import os

from dcgan_tf.common.atomic_write import write_text


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []

    def noted(name):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args: [order.append(name), call(*args)][1])

    noted("fsync")
    noted("replace")
    write_text(tmp_path / "file", "whole")
    assert order[:2] == ["fsync", "replace"]  # or a power cut could leave it empty
    assert (tmp_path / "file").read_text() == "whole"
