/**
 * Links of what is seen through a proxy subresource, which lives below the proxy's path for the client: `Location` and
 * the links of HTML pages (k8s.io/apimachinery/pkg/util/proxy of upstream).
 */
import { posix } from "node:path";
import { pipeline, Readable, type Transform } from "node:stream";
import { createDeflateRaw, createGunzip, createGzip, createInflateRaw } from "node:zlib";
import { PageMeasure } from "./page-measure.ts";

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
const linkAttributes: Readonly<Record<string, string>> = {
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
};

const selectors = Object.entries(linkAttributes).flatMap(([attribute, elements]) =>
  elements.split(" ").map((element) => ({ attribute, selector: `${element}[${attribute}]` })),
);

/** The page with its links as the client needs them; undefined for an encoding that cannot be read. */
export function proxiedPage(body: Readable, encoding: string, place: ProxiedPlace): Readable | undefined {
  const coders = codersOf(encoding);
  if (coders === undefined) return undefined;
  return through(Readable.from(rewritten(through(body, coders.decoder), place)), coders.encoder);
}

/** From where rewriting it would fill the memory on, a page stays as it is. */
async function* rewritten(body: Readable, place: ProxiedPlace): AsyncGenerator<Uint8Array> {
  const parts = body[Symbol.asyncIterator]();
  const measure = new PageMeasure();
  let isOver = false;
  let rest: Buffer | undefined;
  async function* light(): AsyncGenerator<Buffer> {
    for (let next = await parts.next(); ; next = await parts.next()) {
      isOver = next.done === true;
      const part = next.value as Buffer;
      if (!isOver && measure.exceeds(part)) rest = part;
      if (isOver || rest) return;
      yield part;
    }
  }
  try {
    const page = rewriterFor(place).transform(
      new Response(Readable.toWeb(Readable.from(light())) as unknown as ReadableStream),
    );
    yield* (page.body ?? []) as AsyncIterable<Uint8Array>;
    if (rest) yield rest;
    for (let next = isOver ? undefined : await parts.next(); next && !next.done; next = await parts.next())
      yield next.value as Buffer;
  } finally {
    body.destroy();
  }
}

function rewriterFor(place: ProxiedPlace): HTMLRewriter {
  const rewriter = new HTMLRewriter();
  for (const { attribute, selector } of selectors) {
    rewriter.on(selector, {
      element(element) {
        const link = element.getAttribute(attribute);
        if (link !== null) element.setAttribute(attribute, proxiedLink(link, place));
      },
    });
  }
  return rewriter;
}

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
