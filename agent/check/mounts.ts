/** File systems as the kernel lists them (proc_pid_mountinfo(5)). */
export interface Mount {
  readonly point: string;
  readonly device: string;
  readonly fileSystem: string;
  /** Cannot be written, by the mount's own options or those of the file system. */
  readonly isReadOnly: boolean;
}

/** From the text of /proc/self/mountinfo, in its order. */
export function parseMounts(text: string): Mount[] {
  return text
    .split("\n")
    .filter((line) => line.includes(" - "))
    .map((line) => {
      const [own = "", shared = ""] = line.split(" - ");
      const [, , , , point = "", options = ""] = own.split(" ");
      const [fileSystem = "", device = "", more = ""] = shared.split(" ");
      const isReadOnly = [options, more].some((words) => words.split(",").includes("ro"));
      return { point: unescaped(point), device: unescaped(device), fileSystem, isReadOnly };
    });
}

/** Of the mount that a path lies in: the deepest, and the last one at that point. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  const holds = ({ point }: Mount): boolean => point === "/" || path === point || path.startsWith(`${point}/`);
  return mounts
    .filter(holds)
    .reduce<Mount | undefined>(
      (best, mount) => (best === undefined || mount.point.length >= best.point.length ? mount : best),
      undefined,
    );
}

export const deviceOf = (path: string, mounts: readonly Mount[]): string | undefined => mountOf(path, mounts)?.device;

/** Blanks and the like are written in octal. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
