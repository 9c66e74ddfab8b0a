/** A request as it goes over the wire: the same to upstream and to ours. */
export interface WireRequest {
  /** Unique; what its answer is recorded under. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A value is sent as JSON, text and bytes as they are; a function is given the live object at `path`, without its query. */
  readonly body?: Body | ((live: Json) => Body);
  /** Nulls of the answer count, and the fields of a protobuf message. */
  readonly exact?: boolean;
  /** In what order fields and causes of the answer come counts, and an error's whole message. */
  readonly isOrdered?: boolean;
}

export type Json = Record<string, unknown>;
export type Body = Json | readonly unknown[] | string | Uint8Array;

/** Makes requests whose names begin alike. */
export const sender =
  (about: string) =>
  (what: string, method: string, path: string, body?: WireRequest["body"], type?: string): WireRequest => ({
    name: `${about} ${what}`,
    method,
    path,
    ...(body !== undefined && { body }),
    ...(type && { headers: { "content-type": type } }),
  });

/** Makes a namespace, with the account that its pods want. */
export const ownNamespace = (send: ReturnType<typeof sender>, name: string): readonly WireRequest[] => [
  send("namespace", "POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } }),
  send("account", "POST", `/api/v1/namespaces/${name}/serviceaccounts`, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "default" },
  }),
];

/** Requests that may run side by side; one group follows the other. */
export interface WireGroup {
  readonly name: string;
  readonly requests: readonly WireRequest[];
  /** Each changes what the next finds. */
  readonly inOrder?: boolean;
}

/** One side of the comparison. */
export interface Target {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** PEM. */
  readonly tls: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

const AT_ONCE = 8;
/** For a request that nobody answers; none of these takes long. */
const ANSWER_WITHIN_MS = 90_000;

/** Sends a group and hands each answer to `took`: undefined where the connection was broken instead. */
export async function sendGroup(
  target: Target,
  group: WireGroup,
  took: (request: WireRequest, sent: string, response: Response | undefined) => Promise<void>,
): Promise<void> {
  const waiting = [...group.requests];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const body = await bodyOf(target, next);
      const response = await send(target, next, body).catch(() => undefined);
      // What the server chose comes back in the body of a changed live object.
      await took(next, typeof next.body === "function" || typeof body !== "string" ? "" : body, response);
    }
  };
  await Promise.all(Array.from({ length: group.inOrder ? 1 : AT_ONCE }, work));
}

async function bodyOf(target: Target, { body, path }: WireRequest): Promise<string | Uint8Array | undefined> {
  if (typeof body === "function") {
    const response = await send(target, { name: "", method: "GET", path: path.replace(/\?.*/, "") }, undefined);
    return textOf(body((await response.json()) as Json));
  }
  return body === undefined ? undefined : textOf(body);
}

const textOf = (body: Body): string | Uint8Array =>
  typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);

function send(
  target: Target,
  { method, path, headers }: WireRequest,
  body: string | Uint8Array | undefined,
): Promise<Response> {
  const type = body === undefined ? {} : { "content-type": "application/json" };
  return fetch(target.url + path, {
    method,
    headers: { "user-agent": "differential", accept: "application/json", ...type, ...headers, ...target.headers },
    ...(body === undefined ? {} : { body }),
    redirect: "manual",
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    tls: target.tls,
  } as RequestInit);
}
