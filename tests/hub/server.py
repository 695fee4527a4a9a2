"""A Hub on 127.0.0.1 for the stock client: repositories in memory, real HTTP."""

import base64
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

LFS_FROM_BYTES = 100_000


class Repository:
    """Commits, each a dict of path to bytes, and the branches and tags on them."""

    def __init__(self, *, private=False, gated=False):
        self.private = private
        self.gated = gated
        self.commits = {}
        self.refs = {}
        self.pull_requests = 0
        self.commit("main", {".gitattributes": b""})

    def commit(self, branch, files, *, message="start"):
        text = f"{len(self.commits)} {message} {sorted(files.items())}"
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.commits[sha] = files
        self.refs[branch] = sha
        return sha

    def resolve(self, revision):
        if revision in self.commits:
            return revision
        return self.refs.get(revision)


class HubServer:
    """The server: `with HubServer() as hub`, then point the client at `hub.url`.

    Attributes:
        repositories: dict of id to `Repository`.
        tokens: dict of token to user name.
        fail: dict of a route's name to the HTTP status that it answers, or to
            `"cut"` for a connection that breaks. Routes: create, preupload, lfs,
            upload, commit, info, resolve.
        requests: list of (method, path) as they came.
        headers: list of the headers that came, as text.
    """

    def __init__(self):
        self.repositories = {}
        self.tokens = {"hf_rightrightrightrightrightrightright": "me"}
        self.objects = {}
        self.fail = {}
        self.requests = []
        self.headers = []
        self.lock = threading.Lock()

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"hub": self})
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def files(self, repo_id, revision="main"):
        repository = self.repositories[repo_id]
        return repository.commits[repository.resolve(revision)]

    def add(self, repo_id, files, **arguments):
        """Makes a repository with these files (path to bytes) on its main branch."""
        repository = Repository(**arguments)
        repository.commit("main", {".gitattributes": b"", **files}, message=repo_id)
        self.repositories[repo_id] = repository
        return repository


class _Refusal(Exception):
    def __init__(self, status, *, code=None, message=None, body=None):
        super().__init__(message or code)
        self.status, self.code, self.message = status, code, message
        self.body = body or {"error": message or code}


ID = r"(?P<id>[^/]+/[^/]+)"
REV = r"(?P<rev>[^/]+)"
ROUTES = [
    ("POST", r"/api/repos/create", "create"),
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/validate-yaml", "validate"),
    ("GET", rf"/api/models/{ID}", "info"),
    ("GET", rf"/api/models/{ID}/revision/{REV}", "info"),
    ("GET", rf"/api/models/{ID}/tree/{REV}", "tree"),
    ("POST", rf"/api/models/{ID}/paths-info/{REV}", "paths"),
    ("POST", rf"/api/models/{ID}/branch/{REV}", "branch"),
    ("POST", rf"/api/models/{ID}/tag/{REV}", "tag"),
    ("POST", rf"/api/models/{ID}/preupload/{REV}", "preupload"),
    ("POST", rf"/{ID}\.git/info/lfs/objects/batch", "lfs"),
    ("PUT", r"/upload/(?P<oid>[0-9a-f]+)", "upload"),
    ("POST", r"/verify", "verify"),
    ("POST", rf"/api/models/{ID}/commit/{REV}", "commit"),
    ("GET", rf"/{ID}/resolve/{REV}/(?P<path>.+)", "resolve"),
    ("GET", r"/objects/(?P<oid>[0-9a-f]+)", "object"),
]


def _route(method, path):
    for verb, pattern, name in ROUTES:
        match = re.fullmatch(pattern, path)
        if verb == method and match:
            groups = match.groupdict().items()
            return name, {key: urllib.parse.unquote(value) for key, value in groups}
    return None, {}


class _Handler(http.server.BaseHTTPRequestHandler):
    hub = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self._answer("GET")

    def do_HEAD(self):
        self._answer("GET")

    def do_POST(self):
        self._answer("POST")

    def do_PUT(self):
        self._answer("PUT")

    def _answer(self, method):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        path = self.path.split("?")[0]
        query = urllib.parse.urlparse(self.path).query
        self.query = dict(urllib.parse.parse_qsl(query))
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
            self.hub.headers.append(str(self.headers))
        name, found = _route(method, path)
        if name is None:
            self._send(404, {"error": f"no route {path}"})
            return
        failure = self.hub.fail.get(name)
        if failure == "cut":
            self.close_connection = True
            self.connection.close()
            return
        try:
            if failure is not None:
                raise _Refusal(failure, message="the test asked for this")
            with self.hub.lock:
                getattr(self, f"_{name}")(**found)
        except _Refusal as refusal:
            headers = {}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            if refusal.message:
                headers["X-Error-Message"] = refusal.message
            self._send(refusal.status, refusal.body, headers)

    def _send(self, status, body, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.close_connection = True

    def _user(self):
        header = self.headers.get("Authorization", "")
        if not header:
            return None
        token = header.removeprefix("Bearer ")
        if token not in self.hub.tokens:
            message = "Invalid credentials in Authorization header"
            raise _Refusal(401, message=message)
        return self.hub.tokens[token]

    def _repository(self, repo_id):
        user = self._user()
        repository = self.hub.repositories.get(repo_id)
        owned = user == repo_id.split("/")[0]
        if repository is None or (repository.private and not owned):
            raise _Refusal(401 if user is None else 404, code="RepoNotFound")
        return repository

    def _writable(self, repo_id):
        repository = self._repository(repo_id)
        if self._user() != repo_id.split("/")[0]:
            raise _Refusal(403, message="You may not write here")
        return repository

    def _files(self, repository, revision):
        sha = repository.resolve(revision)
        if sha is None:
            raise _Refusal(404, code="RevisionNotFound")
        return sha, repository.commits[sha]

    def _whoami(self):
        self._send(200, {"name": self._user(), "type": "user", "orgs": []})

    def _validate(self):
        self._send(200, {"warnings": [], "errors": []})

    def _create(self):
        request = json.loads(self.body)
        user = self._user()
        repo_id = f"{request.get('organization') or user}/{request['name']}"
        url = f"{self.hub.url}/{repo_id}"
        if user is None:
            raise _Refusal(401, message="Log in first")
        if repo_id.split("/")[0] != user:
            raise _Refusal(403, message="You may not write here")
        if repo_id in self.hub.repositories:
            raise _Refusal(409, message="exists", body={"url": url})
        private = request.get("private") or request.get("visibility") == "private"
        self.hub.repositories[repo_id] = Repository(private=bool(private))
        self._send(200, {"url": url})

    def _info(self, id, rev="main"):
        repository = self._repository(id)
        sha, files = self._files(repository, rev)
        siblings = [{"rfilename": path, "size": len(files[path])} for path in files]
        info = {"id": id, "sha": sha, "private": repository.private}
        self._send(200, {**info, "siblings": siblings, "tags": [], "downloads": 0})

    def _entries(self, files):
        for path, data in files.items():
            entry = {"type": "file", "path": path, "size": len(data)}
            entry["oid"] = hashlib.sha1(data).hexdigest()
            if len(data) >= LFS_FROM_BYTES:
                entry["lfs"] = {
                    "oid": hashlib.sha256(data).hexdigest(),
                    "size": len(data),
                    "pointerSize": 130,
                }
            yield entry

    def _tree(self, id, rev):
        _, files = self._files(self._repository(id), rev)
        self._send(200, list(self._entries(files)))

    def _paths(self, id, rev):
        _, files = self._files(self._repository(id), rev)
        wanted = urllib.parse.parse_qs(self.body.decode()).get("paths", [])
        found = {path: files[path] for path in wanted if path in files}
        self._send(200, list(self._entries(found)))

    def _branch(self, id, rev):
        self._add_ref(id, rev)

    def _tag(self, id, rev):
        self._add_ref(id, json.loads(self.body)["tag"], start=rev)

    def _add_ref(self, id, name, start="main"):
        repository = self._writable(id)
        if name in repository.refs:
            raise _Refusal(409, message="exists")
        repository.refs[name] = repository.resolve(start)
        self._send(200, {})

    def _preupload(self, id, rev):
        self._writable(id)
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] >= LFS_FROM_BYTES else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        self._send(200, {"files": files})

    def _lfs(self, id):
        self._writable(id)
        objects = []
        for item in json.loads(self.body)["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.objects:
                entry["actions"] = {
                    "upload": {"href": f"{self.hub.url}/upload/{item['oid']}"},
                    "verify": {"href": f"{self.hub.url}/verify"},
                }
            objects.append(entry)
        self._send(200, {"transfer": "basic", "objects": objects})

    def _upload(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _Refusal(400, message="checksum")
        self.hub.objects[oid] = self.body
        self._send(200, {})

    def _verify(self):
        self._send(200, {})

    def _commit(self, id, rev):
        repository = self._writable(id)
        sha, files = self._files(repository, rev)
        lines = [json.loads(line) for line in self.body.splitlines() if line]
        files = dict(files)
        message = ""
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, sha):
                    raise _Refusal(412, message="A commit has happened since")
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        answer = {}
        if self.query.get("create_pr"):
            repository.pull_requests += 1
            rev = f"refs/pr/{repository.pull_requests}"
            number = repository.pull_requests
            answer["pullRequestUrl"] = f"{self.hub.url}/{id}/discussions/{number}"
        new = repository.commit(rev, files, message=message)
        url = f"{self.hub.url}/{id}/commit/{new}"
        self._send(200, {"success": True, "commitOid": new, "commitUrl": url, **answer})

    def _resolve(self, id, rev, path):
        repository = self._repository(id)
        sha, files = self._files(repository, rev)
        if repository.gated and self._user() is None:
            raise _Refusal(401, code="GatedRepo", message="Ask for access")
        if path not in files:
            raise _Refusal(404, code="EntryNotFound")
        data = files[path]
        oid = hashlib.sha256(data).hexdigest()
        headers = {"X-Repo-Commit": sha, "ETag": f'"{oid}"'}
        if len(data) < LFS_FROM_BYTES:
            self._send(200, data, headers)
            return
        self.hub.objects[oid] = data
        headers |= {
            # Another host, as the store for large files is: the client asks a redirect
            # within the Hub for the file's metadata again.
            "Location": f"http://localhost:{self.hub.http.server_port}/objects/{oid}",
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{oid}"',
        }
        self._send(302, b"", headers)

    def _object(self, oid):
        self._send(200, self.hub.objects[oid])
