/** Where Bramble answers odd requests otherwise on purpose. */
import type { ComparedAnswer } from "./raw-answer.ts";
import type { RawRequest } from "./raw-request.ts";

export interface HttpDifference {
  readonly reason: string;
  /** Whether this is why these two differ. */
  explains(request: RawRequest, upstream: ComparedAnswer, ours: ComparedAnswer): boolean;
}

const OK = 200;
const BAD_REQUEST = 400;
const NOT_FOUND = 404;
const TOO_LARGE = 413;
const TOO_MANY_HEADERS = 431;

const parserMethods = /^(GET|HEAD|OPTIONS|TRACE|PUT|POST|PATCH|DELETE|PROPFIND|LINK|QUERY)$/;
const header = ({ headers = [] }: RawRequest, name: string): readonly string[] =>
  headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);

const withoutConnection = ({ headers, next: _, ...rest }: ComparedAnswer): object => {
  const { connection: __, ...others } = headers;
  return { ...rest, headers: others };
};

const isRefused = ({ code, next }: ComparedAnswer): boolean => code === BAD_REQUEST && next === "closed";

const flowHeaders = ({ headers }: ComparedAnswer): object =>
  Object.keys(headers).filter((name) => name.startsWith("x-kubernetes-pf-"));

export const differences: readonly HttpDifference[] = [
  {
    reason: "There are no profiles of Go: what upstream answers with --profiling=false.",
    explains: ({ target }, upstream, ours) =>
      /^\/debug\/(pprof|flags)/.test(target) &&
      ours.code === NOT_FOUND &&
      Bun.deepEquals(flowHeaders(upstream), flowHeaders(ours)),
  },
  {
    reason:
      "The parser of HTTP/1.1 knows the methods that are registered, and refuses others before anybody sees them.",
    explains: ({ over, method }, _, ours) =>
      over === "http/1.1" && method !== "CONNECT" && !parserMethods.test(method) && isRefused(ours),
  },
  {
    reason: "CONNECT is for proxies: the connection of whoever asks for one is ended.",
    explains: ({ over, method }, _, ours) => over === "http/1.1" && method === "CONNECT" && ours.code === 0,
  },
  {
    reason: "HTTP/1.2, which there is not, is refused, and a request line without a version as one of an older HTTP.",
    explains: ({ version }, _, ours) => (version === "HTTP/1.2" || version === "") && ours.code >= BAD_REQUEST,
  },
  {
    reason: "By HTTP/1.0 every connection ends with its answer, which says so.",
    explains: ({ version }, upstream, ours) =>
      version === "HTTP/1.0" && Bun.deepEquals(withoutConnection(upstream), withoutConnection(ours)),
  },
  {
    reason: "A body whose end is told of twice is refused: servers in front may take another of the two.",
    explains: (request, _, ours) =>
      isRefused(ours) &&
      (header(request, "content-length").length > 1 ||
        (header(request, "content-length").length > 0 && header(request, "transfer-encoding").length > 0) ||
        /odd trailers/.test(request.name)),
  },
  {
    reason: "A body that does not come whole gets no answer of the API's own, whoever is to blame.",
    explains: ({ name, over }, _, ours) =>
      over === "http/1.1" &&
      /(too short|cut|in bad chunks|end early|odd trailers)/.test(name) &&
      (isRefused(ours) || ours.code === 0),
  },
  {
    reason: "Line ends and names of headers as RFC 9112 has them: the parser takes no folded or broken ones.",
    explains: ({ over, headers = [] }, upstream, ours) =>
      over === "http/1.1" &&
      isRefused(ours) &&
      (headers.some(([, value]) => value.includes("\n")) || upstream.code === BAD_REQUEST),
  },
  {
    reason: "An empty line before a request is passed over, as RFC 9112 (2.2) would have it.",
    explains: ({ method }, _, ours) => method.startsWith("\r\n") && ours.code === OK,
  },
  {
    reason: "A thousand headers and more are too many for a small board.",
    explains: ({ name }, _, ours) => name.includes("many headers") && ours.code === TOO_MANY_HEADERS,
  },
  {
    reason: "Who shows a certificate is known by it, whatever else is said; upstream was asked by a token.",
    explains: (request, _, ours) =>
      header(request, "authorization").length > 0 && !request.anonymous && ours.code === OK,
  },
  {
    reason: "What asks to leave HTTP, at a place where that leads somewhere, is refused on a connection that ends.",
    explains: (request, upstream, ours) =>
      header(request, "upgrade").length > 0 && upstream.code === ours.code && ours.next === "closed",
  },
  {
    reason: "A body that is known to be too large is not asked for.",
    explains: ({ waits }, { interim: _, ...upstream }, ours) =>
      waits === true && upstream.code === TOO_LARGE && Bun.deepEquals(upstream, ours as unknown),
  },
  {
    reason: "Chunks are read whatever the version: HTTP/1.0 has none.",
    explains: (request) => request.version === "HTTP/1.0" && header(request, "transfer-encoding").length > 0,
  },
  {
    reason: "What is wrong with a path is said as of any other request, by HTTP/1.1 too.",
    explains: ({ target }, upstream, ours) =>
      /%(?![\da-f]{2})/i.test(target) &&
      upstream.code === ours.code &&
      upstream.body === ours.body &&
      ours.next === upstream.next,
  },
  {
    reason: "Paths that name nothing to watch lead nowhere; upstream fails on them.",
    explains: ({ target }, _, ours) => /\/watch\/?$/.test(target) && ours.code === NOT_FOUND,
  },
  {
    reason:
      "Too large a body is read on for a while, so that its client sees the answer rather than a connection that breaks.",
    explains: (_, upstream, ours) =>
      upstream.code === TOO_LARGE && Bun.deepEquals(withoutConnection(upstream), withoutConnection(ours)),
  },
  {
    reason: "A stream of HTTP/2 whose request is malformed by RFC 9113 (8.2.1, 8.2.2, 8.3.1) ends with an error.",
    explains: ({ over }, _, ours) => over === "h2" && ours.code === 0 && ours.error === "protocolError",
  },
  {
    reason: "Headers that are too large are an error of the whole connection either way, of another name.",
    explains: ({ name }, upstream, ours) =>
      name.includes("a huge header") && upstream.code === 0 && ours.code === 0 && ours.next === "closed",
  },
  {
    reason: "By HTTP/2 nobody waits for word to send a body.",
    explains: ({ over }, { interim, ...upstream }, ours) =>
      over === "h2" && interim?.[0] === 100 && Bun.deepEquals(upstream, ours as unknown),
  },
  {
    reason: "Targets are UTF-8: bytes that are none lead nowhere, escaped or not.",
    explains: ({ target }, _, ours) =>
      /%e9|[\u0080-\u00ff]/i.test(target) && (ours.code === BAD_REQUEST || ours.code === NOT_FOUND),
  },
  {
    reason: "Where upstream ends a stream of HTTP/2 without a word, Bramble says what is wrong.",
    explains: ({ over }, upstream, ours) => over === "h2" && upstream.code === 0 && ours.code === BAD_REQUEST,
  },
];
