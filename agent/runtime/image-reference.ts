/** A parsed image name. `domain` and `path` are in full: `nginx` is docker.io and library/nginx. */
export interface ImageReference {
  readonly domain: string;
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

export class InvalidImageReference extends Error {
  override readonly name = "InvalidImageReference";
  /** Worded as the kubelet of upstream does; `why`, where more is known of it than that it does not fit the grammar. */
  constructor(
    readonly reference: string,
    why?: string,
  ) {
    super(`couldn't parse image name "${reference}": invalid reference format${why === undefined ? "" : `: ${why}`}`);
  }
}

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const domainPattern = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?$/;
const imageIdPattern = /^(?:sha256:)?[0-9a-f]{64}$/;

/**
 * Parses an image name the way Docker does (distribution's reference grammar): no domain means docker.io, no path
 * means library/, neither tag nor digest means `latest`. Throws InvalidImageReference.
 */
export function parseImageReference(reference: string): ImageReference {
  const fail = () => new InvalidImageReference(reference);
  const at = reference.indexOf("@");
  const digest = at < 0 ? undefined : reference.slice(at + 1);
  const named = at < 0 ? reference : reference.slice(0, at);
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  const name = colon < 0 ? named : named.slice(0, colon);

  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const hasDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const domain = !hasDomain || first === "index.docker.io" ? "docker.io" : first;
  const rest = hasDomain ? name.slice(slash + 1) : name;
  const path = domain === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest;

  if (path !== path.toLowerCase())
    throw new InvalidImageReference(reference, `repository name (${path}) must be lowercase`);
  if (!pathPattern.test(path) || !domainPattern.test(domain) || domain.length + path.length + 1 > 255) throw fail();
  if (tag !== undefined && !tagPattern.test(tag)) throw fail();
  if (digest !== undefined && !digestPattern.test(digest)) throw fail();
  return { domain, path, digest, tag: tag ?? (digest === undefined ? "latest" : undefined) };
}

/** The name in full: `docker.io/library/nginx:latest`. With a digest the tag is only decoration and is left out. */
export function formatImageReference({ domain, path, tag, digest }: ImageReference): string {
  const suffix = digest !== undefined ? `@${digest}` : tag !== undefined ? `:${tag}` : "";
  return `${domain}/${path}${suffix}`;
}

/** `sha256:…` or 64 hex digits: an image's id, never a name (the grammar forbids such names). */
export function isImageId(image: string): boolean {
  return imageIdPattern.test(image);
}
