/** What parts a path for one server or another: some decode slashes before they look, some take a backslash for one. */
const slash = String.raw`(?:[/\\]|%2f|%5c)`;
const dots = String.raw`(?:\.|%2e){1,2}`;
/** A step that stays or leads back (RFC 3986, 5.2.4), for some also with a parameter (`..;`). */
const dotted = new RegExp(`${slash}${dots}(?=;|${slash}|$)`, "i");
const dot = /%2e/gi;

/**
 * A request's target with the steps of its path done, so that an Ingress and the pod behind it mean the same by it: `/public/../admin`
 * is `/admin`, and goes where that goes. undefined: what is left would be such a step for one server and none for another.
 */
export function settledTarget(target: string): string | undefined {
  const at = target.indexOf("?");
  const [path, query] = at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at)];
  if (!dotted.test(path)) return target;
  const settled = withoutDots(path);
  return path.startsWith("/") && !dotted.test(settled) ? `${settled}${query}` : undefined;
}

function withoutDots(path: string): string {
  const segments = path
    .slice(1)
    .split("/")
    .map((segment) => ({ segment, plain: segment.replace(dot, ".") }));
  const kept: string[] = [];
  for (const { segment, plain } of segments) {
    if (plain === "..") kept.pop();
    else if (plain !== ".") kept.push(segment);
  }
  const last = segments.at(-1)?.plain;
  // What such a step leads to is a folder.
  if (last === "." || last === "..") kept.push("");
  return `/${kept.join("/")}`;
}
