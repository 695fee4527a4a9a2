"""Publishes an encoder of a folder on the Hub.

python hub/publish.py --encoder=runs/demo/tc2_encoder --repo_id=me/tc2-convnet
python hub/publish.py --encoder=... --repo_id=me/name --dry_run=hub/encoders/name

Runs in seconds. Prints the URL of the commit, or the folder that was written.
"""

from absl import app, flags

import keras_tc2

_ENCODER = flags.DEFINE_string(
    "encoder",
    None,
    "Folder that save_pretrained wrote, or a repository.",
    required=True,
)
_REPO_ID = flags.DEFINE_string("repo_id", None, "namespace/name.", required=True)
_REPORT = flags.DEFINE_string(
    "report", None, "JSON of a transfer report, for the card."
)
_PICTURES = flags.DEFINE_multi_string("picture", [], "A picture for the card.")
_LICENSE = flags.DEFINE_string("license", None, "Such as apache-2.0.")
_PRIVATE = flags.DEFINE_bool("private", None, "Whether a new repository is private.")
_BRANCH = flags.DEFINE_string("branch", None, "Branch to commit to.")
_CREATE_PR = flags.DEFINE_bool("create_pr", False, "Open a pull request.")
_SAFETENSORS = flags.DEFINE_bool("safetensors", False, "Add model.safetensors.")
_OVERWRITE_CARD = flags.DEFINE_bool("overwrite_card", False, "Also an edited card.")
_DRY_RUN = flags.DEFINE_string("dry_run", None, "Write to this folder, send nothing.")


def main(_):
    """Loads the encoder and pushes it."""
    report = None
    if _REPORT.value is not None:
        report = keras_tc2.transfer.TransferReport.from_json(_REPORT.value)
    encoder = keras_tc2.from_pretrained(_ENCODER.value)
    where = encoder.push_to_hub(
        _REPO_ID.value,
        private=_PRIVATE.value,
        branch=_BRANCH.value,
        create_pr=_CREATE_PR.value,
        license=_LICENSE.value,
        transfer_report=report,
        pictures=_PICTURES.value,
        safetensors=_SAFETENSORS.value,
        overwrite_card=_OVERWRITE_CARD.value,
        dry_run=_DRY_RUN.value,
    )
    print(where)


if __name__ == "__main__":
    app.run(main)
