/** A command of kubectl, or a few lines of shell that call it. */
export interface KubectlCommand {
  readonly args: readonly string[];
  /** For `-f -`. */
  readonly input?: string;
  /** Run in its place as KUBE_EDITOR. */
  readonly editor?: string;
  /** Runs by sh in place of `args`, with `kubectl` on its path, in the folder that has the area's files. */
  readonly script?: string;
}

/** Commands that run in an order, in a namespace and a folder of their own: each finds what those before it left. */
export interface KubectlArea {
  readonly commands: readonly KubectlCommand[];
  /** Contents by path in the area's folder; what is no text is written as JSON. */
  readonly files?: Readonly<Record<string, string | object>>;
}

/** Words are split at spaces. */
export const run = (line: string, input?: object): KubectlCommand => ({
  args: line.split(" "),
  ...(input && { input: JSON.stringify(input) }),
});
export const withPatch = (line: string, patch: string): KubectlCommand => ({ args: [...line.split(" "), "-p", patch] });
export const edited = (line: string, editor: string): KubectlCommand => ({ args: line.split(" "), editor });
export const script = (text: string): KubectlCommand => ({ args: [], script: text });
/** As `run`, with a last argument that has spaces. */
export const words = (line: string, ...more: string[]): KubectlCommand => ({ args: [...line.split(" "), ...more] });
