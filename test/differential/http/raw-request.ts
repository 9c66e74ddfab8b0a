/** A request as it is written on a connection, by either version of HTTP, however odd. */

export type Header = readonly [name: string, value: string];

export interface RawRequest {
  /** Unique; what its answer is recorded under. */
  readonly name: string;
  readonly over: "http/1.1" | "h2";
  readonly method: string;
  /** Written as it is, latin1. */
  readonly target: string;
  /** Those below are added where none of that name is here. */
  readonly headers?: readonly Header[];
  /** Of the usual headers, those that are left out. */
  readonly lacks?: readonly string[];
  readonly body?: string | Uint8Array;
  /** What the request line ends with; HTTP/1.1 unless it is said. */
  readonly version?: string;
  /** The client ends its side behind the request. */
  readonly ends?: true;
  /** The body is for whoever is told to go on. */
  readonly waits?: true;
  /** The body that the headers announce is not sent, whatever is answered. */
  readonly withheld?: true;
  /** What the body says is another test's, or changes by itself. */
  readonly anyBody?: true;
  /** Sent without saying who asks. */
  readonly anonymous?: true;
  /** Of HTTP/2: a field of the trailers. */
  readonly trailers?: readonly Header[];
  /** Of HTTP/2: pseudo-headers in place of the usual ones. */
  readonly pseudo?: readonly Header[];
}

const usual: readonly Header[] = [
  ["Host", "localhost"],
  ["User-Agent", "differential"],
  ["Accept", "application/json"],
];

/** All its headers, with who asks. */
export function headersOf(
  { headers = [], lacks = [], body, over, anonymous }: RawRequest,
  who: readonly Header[],
): Header[] {
  const given = new Set([
    ...headers.map(([name]) => name.toLowerCase().trim()),
    ...lacks.map((name) => name.toLowerCase()),
  ]);
  const frames = given.has("content-length") || given.has("transfer-encoding");
  const length: readonly Header[] =
    body === undefined || frames || over === "h2" ? [] : [["Content-Length", String(Buffer.byteLength(body))]];
  const own = [...usual, ...(anonymous ? [] : who)].filter(
    ([name]) => !given.has(name.toLowerCase()) && !(over === "h2" && name === "Host"),
  );
  return [...own, ...headers, ...length];
}

/** Head and body by HTTP/1.1. */
export function http1Bytes(request: RawRequest, headers: readonly Header[]): { head: Buffer; body: Buffer } {
  const { method, target, version = "HTTP/1.1", body = "" } = request;
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = Buffer.from(`${method} ${target}${version === "" ? "" : ` ${version}`}\r\n${lines}\r\n`, "latin1");
  return { head, body: Buffer.from(body) };
}
