import { backupOf, memoryCgroupArguments, switchOnMemoryCgroup } from "./boot-arguments.ts";
import { adviseDocker, writeDaemonSettings } from "./docker-daemon.ts";
import type { MachineFacts } from "./facts.ts";
import { boundJournal, isUnbounded } from "./journal.ts";

/** What `bramble check` can mend itself, as `--fix` names it. */
export const mendable = ["cgroups", "docker", "journal"] as const;
export type Mendable = (typeof mendable)[number];

/** Something to be written with a person's consent. */
export interface Mending {
  readonly what: Mendable;
  /** The file that changes. */
  readonly path: string;
  readonly question: string;
  /** Writes it, and gives what is to be done then. */
  apply(): Promise<string>;
}

/** Pure: what there is to mend. */
export function mendings({ cgroups, docker, journal }: MachineFacts): Mending[] {
  const found: Mending[] = [];
  const { controllers, bootArgumentsFile: path, isAskedFor } = cgroups;
  if (!controllers.includes("memory") && path !== undefined && !isAskedFor)
    found.push({
      what: "cgroups",
      path,
      question: `Add "${memoryCgroupArguments}" to ${path} now?`,
      async apply() {
        await switchOnMemoryCgroup(path);
        return `${path} switches the memory controller on; as it was: ${backupOf(path)}. Restart this board: sudo reboot`;
      },
    });
  const changes = Object.assign({}, ...(docker ? adviseDocker(docker) : []).map(({ change }) => change ?? {}));
  if (docker && Object.keys(changes).length > 0)
    found.push({
      what: "docker",
      path: docker.file,
      question: `Write ${JSON.stringify(changes)} into ${docker.file} now?`,
      async apply() {
        await writeDaemonSettings(docker.file, changes);
        const restart = "log-opts" in changes;
        const then = restart
          ? "sudo systemctl reload docker, then sudo systemctl restart docker"
          : "sudo systemctl reload docker";
        return `${docker.file} has ${Object.keys(changes).join(" and ")}; what was there stays. Then: ${then}`;
      },
    });
  if (journal && isUnbounded(journal))
    found.push({
      what: "journal",
      path: "/etc/systemd/journald.conf.d",
      question: "Bound the system's journal at 64 MiB now?",
      apply: async () => `${await boundJournal()} bounds it. Then: sudo systemctl restart systemd-journald`,
    });
  return found;
}
