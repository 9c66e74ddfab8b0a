import type { MountPoint, Propagation } from "./host.ts";

/** Parses /proc/PID/mountinfo (proc(5)). Lines that are not as expected are left out. */
export function parseMountInfo(text: string): MountPoint[] {
  return text.split("\n").flatMap((line) => {
    const [before, after] = line.split(" - ");
    const [id, parent, device, root, path, options, ...optional] = (before ?? "").split(" ");
    const [type, source] = (after ?? "").split(" ");
    if (path === undefined || type === undefined || device === undefined || root === undefined) return [];
    return [
      {
        id: Number(id),
        parentId: Number(parent),
        device,
        root: unescapePath(root),
        path: unescapePath(path),
        type,
        source: unescapePath(source ?? ""),
        options: (options ?? "").split(","),
        propagation: propagationOf(optional),
      },
    ];
  });
}

function propagationOf(optional: readonly string[]): Propagation {
  if (optional.some((field) => field.startsWith("shared:"))) return "shared";
  return optional.some((field) => field.startsWith("master:")) ? "slave" : "private";
}

/** Space, tab, newline and backslash are written in octal. The octets may be parts of UTF-8, never these four. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
