import type { Readable } from "node:stream";
import { StatusError } from "#shared/api/errors.ts";
import { mediaTypeOf } from "../registry/decode-body.ts";
import type { RequestBody } from "../request.ts";
import type { HttpRequest } from "./arrival.ts";
import { LARGE_YAML_BYTES, readLargeYaml } from "./yaml-thread.ts";

const MAX_BODY_BYTES = 3 * 1024 * 1024;
const BODY_WITHIN_MS = 30_000;
const yamlTypes: ReadonlySet<string> = new Set(["application/yaml", "application/apply-patch+yaml"]);

/** The body of a request that may have one. Throws 413 for one that is too large, 400 for one that does not come whole. */
export async function readBody(request: HttpRequest): Promise<RequestBody> {
  const { method } = request;
  if (method === "GET" || method === "HEAD") return { kind: "none" };
  const tooLarge = (): StatusError =>
    new StatusError("RequestEntityTooLarge", `Request entity too large: limit is ${MAX_BODY_BYTES}`);
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const bytes = request.takeWhole?.() ?? (await bytesOf(request.body, tooLarge));
  if (bytes.length > MAX_BODY_BYTES) throw tooLarge();
  if (bytes.length === 0) return { kind: "none" };
  const isLargeYaml = bytes.length > LARGE_YAML_BYTES && yamlTypes.has(mediaTypeOf(request.headers["content-type"]));
  return { kind: "bytes", bytes, yaml: isLargeYaml ? await readLargeYaml(bytes) : undefined };
}

/** The whole body; listeners rather than an iterator, which costs more than most bodies. */
function bytesOf(body: Readable, tooLarge: () => StatusError): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const late = setTimeout(() => body.destroy(), BODY_WITHIN_MS);
    const fail = (error: Error): void => {
      clearTimeout(late);
      reject(error);
    };
    body.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      reject(tooLarge());
      // A client that writes on would lose the answer with the connection; not for ever, though.
      if (size > 2 * MAX_BODY_BYTES) body.destroy();
    });
    body.on("end", () => {
      clearTimeout(late);
      const [only] = chunks;
      resolve(only && chunks.length === 1 ? only : Buffer.concat(chunks));
    });
    const cut = (cause?: Error): void =>
      fail(new StatusError("BadRequest", "the request's body did not come whole", { cause }));
    body.on("error", cut);
    body.on("close", () => {
      if (!body.readableEnded) cut();
    });
  });
}
