#!/usr/bin/env python3
"""The part of Qdrant's HTTP interface that its OpenAPI description gives for collections, points, payload indexes and aliases, in
front of real shards of Qdrant as a library. One request at a time."""
import http.server
import json
import os
import pathlib
import re
import shutil
import threading
import urllib.parse

import qdrant_edge as q

STORAGE = pathlib.Path("/qdrant/storage")
LOCK = threading.Lock()
VERSION = "1.19.1"
SHARDS = {}


def api_key():
    try:
        found = re.search(r"(?m)^ +api_key: *[\"']?(.*?)[\"']? *$", pathlib.Path("/qdrant/config/local.yaml").read_text())
    except OSError:
        found = None
    return found.group(1) if found else os.environ.get("QDRANT__SERVICE__API_KEY", "")


class Refused(Exception):
    def __init__(self, status, words):
        super().__init__(words)
        self.status = status


def load(path, default):
    return json.loads(path.read_text()) if path.exists() else default


def store(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_text(json.dumps(value))
    path.with_suffix(".new").rename(path)


def vector_params(about):
    known = {"Cosine": q.Distance.Cosine, "Dot": q.Distance.Dot, "Euclid": q.Distance.Euclid, "Manhattan": q.Distance.Manhattan}
    more = {}
    if about.get("multivector_config"):
        more["multivector_config"] = q.MultiVectorConfig(q.MultiVectorComparator.MaxSim)
    return q.EdgeVectorParams(about["size"], known[about["distance"]], **more)


def make(name, request):
    folder = STORAGE / "collections" / name
    if name in SHARDS:
        raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
    vectors = request.get("vectors") or {}
    config = q.EdgeConfig(vectors=vector_params(vectors) if "size" in vectors else {n: vector_params(v) for n, v in vectors.items()},
                          sparse_vectors={n: q.EdgeSparseVectorParams() for n in request.get("sparse_vectors") or {}})
    folder.mkdir(parents=True)
    (folder / "shard").mkdir()
    SHARDS[name] = q.EdgeShard.create(str(folder / "shard"), config)
    params = {"shard_number": 1, "replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": True}
    params |= {k: request[k] for k in (*params, "vectors", "sparse_vectors") if request.get(k) is not None}
    store(folder / "config.json", {"params": params,
                                   "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0, "on_disk": False} | (request.get("hnsw_config") or {}),
                                   "optimizer_config": {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0, "flush_interval_sec": 5} | (request.get("optimizers_config") or {}),
                                   "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0} | (request.get("wal_config") or {}), "quantization_config": request.get("quantization_config")} |
          ({"strict_mode_config": request["strict_mode_config"]} if request.get("strict_mode_config") else {}))


def strict(folder, limit, asked):
    """Strict mode refuses what is over a limit of the collection's own."""
    about = load(folder / "config.json", {}).get("strict_mode_config") or {}
    if about.get("enabled") and about.get(limit) and asked > about[limit]:
        raise Refused(400, f"Forbidden: Limit exceeded {asked} > {about[limit]} for \"{limit}\". Help: Reduce the \"{limit}\" parameter to or below {about[limit]}.")


def vector_in(value):
    if isinstance(value, dict):
        return {n: q.SparseVector(v["indices"], v["values"]) if isinstance(v, dict) else v for n, v in value.items()}
    return value


def vector_out(value):
    if isinstance(value, dict):
        return {n: vector_out(v) for n, v in value.items()}
    if isinstance(value, q.SparseVector):
        return {"indices": list(value.indices), "values": list(value.values)}
    return value


def shard(name):
    name = load(STORAGE / "aliases.json", {}).get(name, name)
    if name not in SHARDS:
        raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
    return name, SHARDS[name]


def answer(method, path, query, body):
    parts = [urllib.parse.unquote(p) for p in path.strip("/").split("/")]
    if parts == ["readyz"]:
        return None
    if parts == [""]:
        return {"title": "qdrant - vector search engine", "version": VERSION, "commit": "lab"}
    if parts == ["collections"]:
        return {"collections": [{"name": n} for n in SHARDS]}
    if parts == ["aliases"]:
        return {"aliases": [{"alias_name": a, "collection_name": c} for a, c in load(STORAGE / "aliases.json", {}).items()]}
    if parts == ["collections", "aliases"] and method == "POST":
        aliases = load(STORAGE / "aliases.json", {})
        for action in body["actions"]:
            made = action["create_alias"]
            aliases[made["alias_name"]] = shard(made["collection_name"])[0]
        store(STORAGE / "aliases.json", aliases)
        return True
    if parts[0] != "collections":
        raise Refused(404, "")
    if len(parts) == 2 and method == "PUT":
        make(parts[1], body)
        return True
    name, one = shard(parts[1])
    folder = STORAGE / "collections" / name
    if len(parts) == 2 and method == "DELETE":
        SHARDS.pop(name).close()
        shutil.rmtree(folder)
        return True
    if len(parts) == 2 and method == "PATCH":
        config = load(folder / "config.json", {})
        config["strict_mode_config"] = (config.get("strict_mode_config") or {}) | (body.get("strict_mode_config") or {})
        store(folder / "config.json", config)
        return True
    if len(parts) == 2:
        return {"status": "green", "optimizer_status": "ok", "points_count": one.info().points_count, "config": load(folder / "config.json", {}), "payload_schema": load(folder / "index.json", {})}
    if parts[2:] == ["index"] and method == "PUT":
        schema = body["field_schema"]
        kind = schema["type"] if isinstance(schema, dict) else schema
        one.update(q.UpdateOperation.create_field_index(body["field_name"], getattr(q.PayloadSchemaType, kind.capitalize())))
        store(folder / "index.json", load(folder / "index.json", {}) | {body["field_name"]: {"data_type": kind, "points": 0} | ({"params": schema} if isinstance(schema, dict) else {})})
        return {"operation_id": 0, "status": "completed"}
    if parts[2:] == ["points"] and method == "PUT":
        strict(folder, "upsert_max_batchsize", len(body["points"]))
        one.update(q.UpdateOperation.upsert_points([q.Point(p["id"], vector_in(p["vector"]), p.get("payload")) for p in body["points"]]))
        return {"operation_id": 0, "status": "completed"}
    if parts[2:] == ["points", "scroll"] and method == "POST":
        strict(folder, "max_query_limit", body.get("limit", 10))
        points, after = one.scroll(q.ScrollRequest(offset=body.get("offset"), limit=body.get("limit", 10), with_payload=body.get("with_payload", True), with_vector=body.get("with_vector", False)))
        return {"points": [{"id": p.id, "payload": p.payload, "vector": vector_out(p.vector)} for p in points], "next_page_offset": after}
    if parts[2:] == ["points", "count"] and method == "POST":
        return {"count": one.count(q.CountRequest(exact=True))}
    raise Refused(404, "")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def whole(self, status, data, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def run(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlsplit(self.path)
        key = api_key()
        if key and url.path != "/readyz" and self.headers.get("api-key") != key:
            return self.whole(401, b"Must provide an API key or an Authorization bearer token", "text/plain")
        with LOCK:
            try:
                result = answer(self.command, url.path, url.query, json.loads(body) if body else None)
            except Refused as error:
                return self.whole(error.status, json.dumps({"status": {"error": str(error)}, "time": 0}).encode())
            except Exception as error:  # the engine's own words
                return self.whole(400, json.dumps({"status": {"error": f"Wrong input: {error}"}, "time": 0}).encode())
        if result is None:
            return self.whole(200, b"all shards are ready", "text/plain")
        self.whole(200, json.dumps(result if url.path == "/" else {"result": result, "status": "ok", "time": 0.001}, default=str).encode())

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = run


for config in STORAGE.glob("collections/*/config.json"):
    SHARDS[config.parent.name] = q.EdgeShard.load(str(config.parent / "shard"))
http.server.ThreadingHTTPServer(("0.0.0.0", 6333), Handler).serve_forever()
