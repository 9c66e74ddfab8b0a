/** One board of a cluster. Its state lies in a folder of the cluster's. */
export interface Board {
  readonly name: string;
  readonly role: "master" | "worker";
  readonly address: string;
  /** What `hostname` says on it. */
  readonly hostname: string;
  /** Arguments of the binary, without the program. */
  readonly args: readonly string[];
  /** What it is made of: a set of this machine's namespaces, or an emulated Debian with systemd. */
  readonly machine: "namespaces" | "guest";
  /** Docker if absent; containerd by its CRI on boards of namespaces alone. */
  readonly runtime?: "containerd" | undefined;
}

/** How to handle a board's container runtime. */
export interface RuntimeTool {
  readonly name: string;
  /** Succeeds when it is up. */
  readonly version: readonly string[];
  /** Reads an image archive from standard input. */
  readonly load: readonly string[];
  /** What Bramble has to be told of it. */
  readonly brambleArgs: readonly string[];
}

const dockerCommand = ["docker", "-H", "unix:///run/docker.sock"];
const containerdCommand = ["ctr", "--namespace", "k8s.io"];

export function runtimeTool({ runtime }: Board): RuntimeTool {
  if (runtime === "containerd") {
    return {
      name: "containerd",
      version: [...containerdCommand, "version"],
      load: [...containerdCommand, "images", "import", "-"],
      brambleArgs: ["--container-runtime-endpoint", "unix:///run/containerd/containerd.sock"],
    };
  }
  return {
    name: "dockerd",
    version: [...dockerCommand, "version"],
    load: [...dockerCommand, "load", "--quiet"],
    brambleArgs: [],
  };
}

/** A board that can be handled like a real one: power, network cable, the program on it. */
export interface BoardHost {
  readonly board: Board;
  /** Where what belongs to it lies on this machine. */
  readonly dir: string;
  /** The program's path as the board sees it. */
  readonly binary: string;
  readonly powered: boolean;
  /** The PID of Bramble, if it runs: as this machine sees it, or for a guest as the guest does. */
  readonly bramblePid: number | undefined;
  /** Power on, up to a dockerd that answers. Where Bramble is installed to start at boot, it is on its way too. */
  powerOn(): Promise<void>;
  /** Starts Bramble unless it runs, with further arguments for a first start. */
  startBramble(extra?: readonly string[]): void;
  /** Ends Bramble alone; containers go on. It stays ended until it is started. */
  stopBramble(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** A power cut: everything on the board dies at once and its link goes dark. */
  cut(): Promise<void>;
  link(state: "up" | "down"): void;
  /** The command that runs `command` on the board as root. */
  inside(command: readonly string[]): string[];
  /** Runs a command there and gives what it prints. Throws CommandError. */
  exec(command: readonly string[]): string;
  /** Text of a file there; undefined where there is none. */
  read(path: string): string | undefined;
  /** The last lines that Bramble wrote. */
  log(lines: number): string;
  /** Power off, for good. */
  remove(): Promise<void>;
}
