import { access, constants } from "node:fs/promises";
import { dirname } from "node:path";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { FolderFacts } from "./facts.ts";
import type { Role, Verdict } from "./verdict.ts";

type Wanted = Omit<FolderFacts, "isWritable">;

/** All that a board of this role writes to, without what Docker has. */
export function writtenFolders(settings: MasterSettings, role: Role): Wanted[] {
  const hasAgent = role === "worker" || !settings.noAgent;
  return [
    { path: settings.dataDir, setting: "data-dir", purpose: "state" },
    { path: settings.runDir, setting: "run-dir", purpose: "sockets" },
    ...(hasAgent
      ? [
          { path: settings.rootDir, setting: "root-dir", purpose: "CSI drivers and device plug-ins" },
          { path: dirname(settings.podLogsDir), setting: "pod-logs-dir", purpose: "links to logs of pods" },
          { path: settings.cniConfDir, setting: "cni-conf-dir", purpose: "the network of pods" },
        ]
      : []),
    ...(role === "master"
      ? [
          { path: dirname(settings.writeKubeconfig), setting: "write-kubeconfig", purpose: "the kubeconfig" },
          ...(settings.backupDir === ""
            ? []
            : [{ path: settings.backupDir, setting: "backup-dir", purpose: "backups" }]),
        ]
      : []),
  ];
}

/** The folder, or the nearest above it that is there already, can be written. Who is not root may not write there, which
 *  says nothing of the disk. */
export async function probeFolders(wanted: readonly Wanted[]): Promise<FolderFacts[]> {
  return Promise.all(
    wanted.map(async (folder) => {
      const path = await nearest(folder.path);
      const isWritable = process.getuid?.() !== 0 || (await may(path, constants.W_OK));
      return { ...folder, isWritable };
    }),
  );
}

async function nearest(path: string): Promise<string> {
  let found = path;
  while (found !== "/" && !(await may(found, constants.F_OK))) found = dirname(found);
  return found;
}

const may = (path: string, mode: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );

/** Pure. What cannot be written can be moved, by the setting that is named. */
export function judgeFolders(folders: readonly FolderFacts[]): Verdict[] {
  const readOnly = folders.filter(({ isWritable }) => !isWritable);
  if (readOnly.length === 0) return [{ level: "ok", subject: "folders", finding: "all that are written to can be" }];
  return readOnly.map(({ path, setting, purpose }) => ({
    level: "FAIL",
    subject: "folders",
    finding: `${path} cannot be written (${purpose})`,
    mend: `${exampleOf(setting)} in /etc/bramble/config.yaml, on a disk or tmpfs that can be written; or mount one at ${path}`,
  }));
}

/** Whose value ends in a name that is expected of it. */
const endings: Readonly<Record<string, string>> = { "pod-logs-dir": "/pods", "write-kubeconfig": "/kubeconfig.yaml" };
const exampleOf = (setting: string): string => `${setting}: /DISK/${setting}${endings[setting] ?? ""}`;
