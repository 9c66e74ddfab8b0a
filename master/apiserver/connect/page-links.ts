/**
 * Links of what is seen through a proxy subresource, which lives below the proxy's path for the client: `Location` and
 * the links of HTML pages (k8s.io/apimachinery/pkg/util/proxy of upstream).
 */
import { posix } from "node:path";
import { pipeline, Readable, type Transform } from "node:stream";
import { createDeflateRaw, createGunzip, createGzip, createInflateRaw } from "node:zlib";
import { PageRewriter } from "./page-rewriter.ts";

export interface ProxiedPlace {
  /** The path of the proxy for the client, without a slash at its end: `/api/v1/namespaces/a/pods/b/proxy`. */
  readonly root: string;
  /** Authorities under which the server behind is known: its own, and the API server's as the client wrote it. */
  readonly hosts: readonly string[];
}

const parts = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(.*)$/s;

/** A link that leads to the server's root leads to the proxy's; one to elsewhere, or a relative one, stays as it is. */
export function proxiedLink(link: string, { root, hosts }: ProxiedPlace): string {
  const [, , host = "", path = "", rest = ""] = parts.exec(link) ?? [];
  if (!path.startsWith("/") || (host !== "" && !hosts.includes(host))) return link;
  if (path === root || path.startsWith(`${root}/`)) return link;
  return `${posix.join(root, path)}${rest}`;
}

/** Attributes of HTML that hold one link. */
const linkAttributes = new Map(
  Object.entries({
    href: "a area base link",
    src: "audio embed frame iframe img input script source video",
    cite: "blockquote del ins q",
    longdesc: "frame iframe img",
    usemap: "img input object",
    formaction: "button input",
    codebase: "applet object",
    action: "form",
    background: "body",
    classid: "object",
    data: "object",
    icon: "command",
    manifest: "html",
    poster: "video",
    profile: "head",
  }).map(([attribute, elements]) => [attribute, new Set(elements.split(" "))]),
);

/** The page with its links as the client needs them; undefined for an encoding that cannot be read. */
export function proxiedPage(body: Readable, encoding: string, place: ProxiedPlace): Readable | undefined {
  const coders = codersOf(encoding);
  if (coders === undefined) return undefined;
  return through(Readable.from(rewritten(through(body, coders.decoder), place)), coders.encoder);
}

async function* rewritten(body: Readable, place: ProxiedPlace): AsyncGenerator<Buffer> {
  // A byte a character: what else stands on the page need not be understood.
  const plain = { root: bytesOf(place.root), hosts: place.hosts.map(bytesOf) };
  const rewriter = new PageRewriter((element, attribute, value) =>
    linkAttributes.get(attribute)?.has(element) ? proxiedLink(value, plain) : undefined,
  );
  try {
    for await (const part of body) yield Buffer.from(rewriter.push((part as Buffer).toString("latin1")), "latin1");
    yield Buffer.from(rewriter.end(), "latin1");
  } finally {
    body.destroy();
  }
}

const bytesOf = (text: string): string => Buffer.from(text).toString("latin1");

interface Coders {
  readonly decoder?: Transform;
  readonly encoder?: Transform;
}

function codersOf(encoding: string): Coders | undefined {
  switch (encoding) {
    case "":
      return {};
    case "gzip":
      return { decoder: createGunzip(), encoder: createGzip() };
    case "deflate":
      return { decoder: createInflateRaw(), encoder: createDeflateRaw() };
    default:
      return undefined;
  }
}

/** An error of either end ends the other; who reads learns of it. */
function through(source: Readable, coder: Transform | undefined): Readable {
  if (coder === undefined) return source;
  pipeline(source, coder, () => undefined);
  return coder;
}
