"""What the Hub's errors mean, and what to do about each."""

import contextlib

from keras_tc2.hub.errors import HubError
from keras_tc2.hub.redact import redact

_LOG_IN = (
    "Give a token that may, with `token=...` or `hf auth login` "
    "(https://huggingface.co/settings/tokens)."
)


@contextlib.contextmanager
def explained(repo_id, *, revision=None):
    """Turns what `huggingface_hub` raises into a `HubError` with advice.

    Args:
        repo_id: str, what the message names.
        revision: str, likewise.
    """
    from huggingface_hub import errors

    where = f"{repo_id!r}" if revision is None else f"{repo_id!r} at {revision!r}"
    try:
        yield
    except errors.HFValidationError as error:
        raise ValueError(
            f"{where} is no folder here, and no repository either: a repository is "
            f"named namespace/name. {redact(str(error))}"
        ) from error
    except errors.GatedRepoError as error:
        raise HubError(
            f"The repository {where} is gated. Ask for access on its page, "
            f"https://huggingface.co/{repo_id}, and use your token. {_LOG_IN}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(
            f"The repository {repo_id!r} has no branch, tag or commit {revision!r}. "
            f"Its page lists those it has: https://huggingface.co/{repo_id}/commits"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise HubError(
            f"{where} is no folder here and not in the cache, and the Hub was not "
            "asked or could not be reached. Connect, leave out `local_files_only`, or "
            "unset HF_HUB_OFFLINE; or name the `cache_dir` that holds it."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"There is no folder {repo_id!r} here and no repository {where}, or it is "
            "private and the token may not see it. Look for a slip of the pen. "
            f"{_LOG_IN}"
        ) from error
    except errors.HfHubHTTPError as error:
        raise HubError(_http_message(where, error)) from error
    except RuntimeError as error:
        # How a failed upload of a large file ends.
        if not isinstance(error.__cause__, errors.HTTPError):
            raise
        raise HubError(
            f"The upload to {where} broke off: {redact(str(error.__cause__))[:500]}. "
            "Nothing was changed there. Push again; what was uploaded is not sent anew."
        ) from error
    except errors.LocalTokenNotFoundError as error:
        raise HubError(f"No token is stored on this machine. {_LOG_IN}") from error
    except (errors.HTTPError, ConnectionError) as error:
        raise HubError(
            f"The Hub could not be reached for {where}: {redact(str(error))}. Nothing "
            "was changed there. Try again when the connection stands."
        ) from error


def _http_message(where, error):
    status = error.response.status_code
    if status == 401:
        return f"The Hub does not know the token that was used for {where}. {_LOG_IN}"
    if status == 403:
        return f"The token may not do this in {where}. {_LOG_IN}"
    if status in (409, 412):
        return (
            f"{where} was changed by someone else at the same time; nothing of yours "
            "was written. Look at it, and push again."
        )
    return (
        f"The Hub answered {status} for {where}: {redact(str(error))[:500]}. Nothing "
        "of an unfinished push is in the repository. Try again later."
    )
