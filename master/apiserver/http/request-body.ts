import type { Readable } from "node:stream";
import { StatusError } from "#shared/api/errors.ts";
import { GatheredBytes } from "#shared/http/gathered-bytes.ts";
import { mediaTypeOf } from "../registry/decode-body.ts";
import type { BodySource, RequestBody } from "../request.ts";
import type { HttpRequest } from "./arrival.ts";
import { LARGE_YAML_BYTES, readLargeYaml } from "./yaml-thread.ts";

const MAX_BODY_BYTES = 3 * 1024 * 1024;
const yamlTypes: ReadonlySet<string> = new Set(["application/yaml", "application/apply-patch+yaml"]);

/** The body of a request by a socket: it is taken in once somebody reads it. */
export class ArrivingBody implements BodySource {
  readonly #request: HttpRequest;
  readonly #arrived: (size_bytes: number) => void;
  #body: RequestBody | Promise<RequestBody> | undefined;
  #cut: (() => void) | undefined;
  #isGivenUp = false;

  /** `arrived` hears how long one that came whole is. */
  constructor(request: HttpRequest, arrived: (size_bytes: number) => void) {
    this.#request = request;
    this.#arrived = arrived;
  }

  read(): RequestBody | Promise<RequestBody> {
    this.#body ??= this.#read();
    return this.#body;
  }

  /** Whoever reads it waits no longer. */
  giveUp(): void {
    this.#isGivenUp = true;
    this.#cut?.();
  }

  #read(): RequestBody | Promise<RequestBody> {
    const request = this.#request;
    if (this.#isGivenUp) throw incomplete();
    if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
    const whole = request.takeWhole?.();
    return whole ? this.#taken(whole) : this.#rest(request.body);
  }

  /** Listeners rather than an iterator, which costs more than most bodies. */
  #rest(body: Readable): Promise<RequestBody> {
    return new Promise((resolve, reject) => {
      const gathered = new GatheredBytes();
      let size = 0;
      body.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAX_BODY_BYTES) gathered.push(chunk);
        else {
          gathered.clear();
          reject(tooLarge());
        }
      });
      body.on("end", () => resolve(this.#taken(gathered.takeAll())));
      const cut = (cause?: unknown): void => {
        gathered.clear();
        reject(incomplete(cause));
      };
      body.on("error", cut);
      body.on("close", () => {
        if (!body.readableEnded) cut();
      });
      this.#cut = cut;
    });
  }

  #taken(bytes: Uint8Array): RequestBody | Promise<RequestBody> {
    if (bytes.length === 0) return { kind: "none" };
    this.#arrived(bytes.length);
    const isLargeYaml =
      bytes.length > LARGE_YAML_BYTES && yamlTypes.has(mediaTypeOf(this.#request.headers["content-type"]));
    return isLargeYaml ? withYaml(bytes) : { kind: "bytes", bytes };
  }
}

const withYaml = async (bytes: Uint8Array): Promise<RequestBody> => ({
  kind: "bytes",
  bytes,
  yaml: await readLargeYaml(bytes),
});

const incomplete = (cause?: unknown): StatusError =>
  new StatusError("BadRequest", "the request's body did not come whole", { cause });

const tooLarge = (): StatusError =>
  new StatusError("RequestEntityTooLarge", `Request entity too large: limit is ${MAX_BODY_BYTES}`);
