/**
 * A registry that is not to be relied on: `bun bad-registry.ts PORT`. Images whose name begins with `silent` are never
 * answered; of those that begin with `lying` it gives other content than their digests say.
 */
import { createHash } from "node:crypto";
import { createServer } from "node:http";

const sha256 = (data: string): string => `sha256:${createHash("sha256").update(data).digest("hex")}`;
const blob = JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } });
const layer = "not a layer";
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: "application/vnd.docker.distribution.manifest.v2+json",
  config: { mediaType: "application/vnd.docker.container.image.v1+json", size: blob.length, digest: sha256(blob) },
  layers: [
    {
      mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
      size: layer.length,
      digest: sha256("something else"),
    },
  ],
});

createServer((request, response) => {
  const path = request.url ?? "";
  if (path.startsWith("/v2/silent")) return;
  if (path.includes("/manifests/")) {
    response.writeHead(200, {
      "content-type": "application/vnd.docker.distribution.manifest.v2+json",
      "docker-content-digest": sha256(manifest),
    });
    response.end(request.method === "HEAD" ? undefined : manifest);
  } else if (path.includes("/blobs/")) {
    response.writeHead(200, { "content-type": "application/octet-stream" });
    response.end(path.endsWith(sha256(blob)) ? blob : layer);
  } else response.end("{}");
}).listen(Number(process.argv[2]), "127.0.0.1");
