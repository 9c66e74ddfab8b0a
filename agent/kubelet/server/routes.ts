/** Which paths the kubelet's server knows, and by which methods. */

/** A path of one part of the server, cut into its segments. */
export interface Route {
  readonly root: string;
  /** What follows the root, decoded. */
  readonly rest: readonly string[];
}

interface Shape {
  readonly methods: readonly string[];
  /** How many segments may follow; any when absent. */
  readonly segments?: readonly number[];
}

const reads = ["GET"] as const;
const streams = ["GET", "POST"] as const;

/** Those that upstream's kubelet serves by go-restful, which tells a path from a method. */
const shapes: Readonly<Record<string, Shape>> = {
  pods: { methods: reads, segments: [0] },
  runningpods: { methods: reads, segments: [0] },
  containerLogs: { methods: reads, segments: [3] },
  logs: { methods: reads },
  run: { methods: ["POST"], segments: [3, 4] },
  exec: { methods: streams, segments: [3, 4] },
  attach: { methods: streams, segments: [3, 4] },
  portForward: { methods: streams, segments: [2, 3] },
  checkpoint: { methods: ["POST"], segments: [3] },
};

export function routeOf(pathname: string): Route {
  const [root = "", ...rest] = pathname.split("/").slice(1).map(decodeURIComponent);
  // `/pods/` is `/pods`.
  return { root, rest: rest.at(-1) === "" && root !== "logs" ? rest.slice(0, -1) : rest };
}

export interface Misrouted {
  readonly code: 404 | 405;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What is wrong with a request for a path that is known by its root; undefined when nothing is. */
export function misrouted({ root, rest }: Route, method: string): Misrouted | undefined {
  const shape = Object.hasOwn(shapes, root) ? shapes[root] : undefined;
  if (!shape) return undefined;
  if (shape.segments && !shape.segments.includes(rest.length))
    return { code: 404, text: "404: Page Not Found", headers: {} };
  if (shape.methods.includes(method)) return undefined;
  return { code: 405, text: "405: Method Not Allowed", headers: { allow: shape.methods.join(", ") } };
}

/** A pod's container in a path: `NAMESPACE/POD/CONTAINER`, or with the pod's UID before the container. */
export function containerIn(rest: readonly string[]): {
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid?: string | undefined };
  readonly container: string;
} {
  const [namespace = "", name = ""] = rest;
  const uid = rest.length === 4 ? rest[2] : undefined;
  return { pod: { namespace, name, uid }, container: rest.at(-1) ?? "" };
}
