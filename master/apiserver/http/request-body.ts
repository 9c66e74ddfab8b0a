import type { Readable } from "node:stream";
import { StatusError, tooManyRequests } from "#shared/api/errors.ts";
import { GatheredBytes } from "#shared/http/gathered-bytes.ts";
import { garbage } from "#shared/process/garbage.ts";
import { mediaTypeOf } from "../registry/decode-body.ts";
import type { BodySource, RequestBody } from "../request.ts";
import type { HttpRequest } from "./arrival.ts";
import { type BodyRoom, bodyRoom, type RoomUser } from "./body-room.ts";
import { bodyTurns, LARGE_BYTES } from "./body-turns.ts";
import { LARGE_YAML_BYTES, readLargeYaml } from "./yaml-thread.ts";

const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** What shorter ones leave behind is the engine's to collect. */
const LEFT_BEHIND_FROM_BYTES = 16 * 1024;
const yamlTypes: ReadonlySet<string> = new Set(["application/yaml", "application/apply-patch+yaml"]);

/** The body of a request by a socket: it is taken in once somebody reads it. */
export class ArrivingBody implements BodySource, RoomUser {
  readonly #request: HttpRequest;
  readonly #arrived: (size_bytes: number) => void;
  readonly #room: BodyRoom;
  #isRead = false;
  #end: ((error: StatusError) => void) | undefined;
  /** Nobody wants it any more. */
  #isOver = false;
  #size_bytes = 0;
  #endTurn: (() => void) | undefined;

  /** `arrived` hears how long one that came whole is. */
  constructor(request: HttpRequest, arrived: (size_bytes: number) => void, room = bodyRoom) {
    this.#request = request;
    this.#arrived = arrived;
    this.#room = room;
  }

  read(): RequestBody | Promise<RequestBody> {
    // It is handed over: what is made of it need not live beside it.
    if (this.#isRead) throw new Error("a request's body is read once");
    this.#isRead = true;
    return this.#read();
  }

  /** Whoever reads it waits no longer. */
  giveUp(): void {
    this.#isOver = true;
    this.#end?.(incomplete());
  }

  /** The request is over: nobody needs what has come any more. */
  release(): void {
    this.#isOver = true;
    this.#room.leave(this);
    this.#endTurn?.();
    // Beside the work: a collection of all at once is a pause for everybody.
    if (this.#size_bytes >= LEFT_BEHIND_FROM_BYTES) garbage.left(this.#size_bytes);
  }

  makeWay(): void {
    this.#end?.(noRoom());
  }

  #read(): RequestBody | Promise<RequestBody> {
    const request = this.#request;
    if (this.#isOver) throw incomplete();
    if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
    const whole = request.takeWhole?.();
    if (!whole) return this.#rest(request.body);
    if (!this.#room.count(this, whole.length)) throw noRoom();
    return this.#taken(whole);
  }

  /** Listeners rather than an iterator, which costs more than most bodies. */
  #rest(body: Readable): Promise<RequestBody> {
    return new Promise((resolve, reject) => {
      const gathered = new GatheredBytes();
      let size = 0;
      const end = (error: StatusError): void => {
        this.#isOver = true;
        this.#room.leave(this);
        gathered.clear();
        reject(error);
      };
      this.#end = end;
      body.on("data", (chunk: Buffer) => {
        // What its client sends on is passed over.
        if (this.#isOver) return;
        size += chunk.length;
        if (size > MAX_BODY_BYTES) {
          end(tooLarge());
          return;
        }
        gathered.push(chunk);
        this.#room.count(this, size);
      });
      body.on("end", () => {
        if (!this.#isOver) resolve(this.#taken(gathered.takeAll()));
      });
      body.on("error", (cause) => end(incomplete(cause)));
      body.on("close", () => {
        if (!body.readableEnded) end(incomplete());
      });
    });
  }

  #taken(bytes: Uint8Array): RequestBody | Promise<RequestBody> {
    this.#room.cameWhole(this);
    if (bytes.length === 0) return { kind: "none" };
    this.#arrived(bytes.length);
    this.#size_bytes = bytes.length;
    if (bytes.length >= LARGE_BYTES) return this.#inTurn(bytes);
    return this.#isLargeYaml(bytes) ? withYaml(bytes) : { kind: "bytes", bytes };
  }

  async #inTurn(bytes: Uint8Array): Promise<RequestBody> {
    const end = await bodyTurns.take(bytes.length);
    this.#endTurn = end;
    if (!this.#isOver) return this.#isLargeYaml(bytes) ? withYaml(bytes) : { kind: "bytes", bytes };
    end();
    throw incomplete();
  }

  #isLargeYaml(bytes: Uint8Array): boolean {
    return bytes.length > LARGE_YAML_BYTES && yamlTypes.has(mediaTypeOf(this.#request.headers["content-type"]));
  }
}

const withYaml = async (bytes: Uint8Array): Promise<RequestBody> => ({
  kind: "bytes",
  bytes,
  yaml: await readLargeYaml(bytes),
});

const incomplete = (cause?: unknown): StatusError =>
  new StatusError("BadRequest", "the request's body did not come whole", { cause });

/** As upstream words it where it has no turn to give. Clients try again by themselves. */
const noRoom = (): StatusError => tooManyRequests("Too many requests, please try again later.", 1);

const tooLarge = (): StatusError =>
  new StatusError("RequestEntityTooLarge", `Request entity too large: limit is ${MAX_BODY_BYTES}`);
