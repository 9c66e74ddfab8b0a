import { existsSync, readFileSync } from "node:fs";
import type { ScratchImage } from "#agent/runtime/scratch-image.ts";
import type { TarEntry } from "#agent/runtime/tar.ts";

/** Whose processor the images are for: its architecture as images name it, and Debian's busybox-static for it. */
export interface Processor {
  readonly architecture: string;
  /** One program that needs no other file. */
  readonly busybox: string;
}

export const thisMachine: Processor = {
  architecture: process.arch === "arm64" ? "arm64" : "amd64",
  busybox: "/bin/busybox",
};

/**
 * Images under the names that examples/ uses, which do the same as far as the examples need it: a shell with the usual
 * programs, and a web server on port 80. Throws where busybox-static is not installed.
 */
export function standInImages({ architecture, busybox }: Processor): ScratchImage[] {
  if (!existsSync(busybox)) throw new Error(`${busybox} is missing: apt-get install busybox-static`);
  const system = baseSystem(busybox);
  return [
    { reference: "busybox:1.37", architecture, entries: system, config: { Env: [searchPath], Cmd: ["sh"] } },
    {
      reference: "nginx:1.29-alpine",
      architecture,
      entries: [
        ...system,
        { path: "usr/share", type: "directory" },
        { path: "usr/share/nginx", type: "directory" },
        { path: webRoot, type: "directory" },
        { path: `${webRoot}/index.html`, content: "<h1>A stand-in for nginx</h1>\n" },
      ],
      config: {
        Env: [searchPath],
        // The log of requests goes to stderr as nginx's goes to stdout.
        Cmd: ["httpd", "-f", "-v", "-p", "80", "-h", `/${webRoot}`],
        ExposedPorts: { "80/tcp": {} },
        // busybox ends by SIGTERM, nginx by SIGQUIT; a stand-in says what it needs itself.
        StopSignal: "SIGTERM",
      },
    },
  ];
}

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const webRoot = "usr/share/nginx/html";

function baseSystem(busybox: string): TarEntry[] {
  const listing = Bun.spawnSync({ cmd: [busybox, "--list"] });
  const applets = listing.stdout
    .toString()
    .split("\n")
    .filter((name) => name !== "" && name !== "busybox");
  return [
    ...["bin", "etc", "usr", "root"].map((path): TarEntry => ({ path, type: "directory" })),
    { path: "tmp", type: "directory", mode: 0o1777 },
    { path: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n" },
    { path: "etc/group", content: "root:x:0:\nnogroup:x:65534:\n" },
    { path: "bin/busybox", content: readFileSync(busybox), mode: 0o755 },
    ...applets.map((name): TarEntry => ({ path: `bin/${name}`, type: "symlink", linkTarget: "busybox" })),
  ];
}
