import type { CsiVolumes } from "../csi/csi-volumes.ts";

/** The board's CSI volumes, loaded when they are first needed. */
export interface CsiLoader {
  /** What is loaded; undefined while nothing has been needed. */
  readonly loaded: CsiVolumes | undefined;
  load(): Promise<CsiVolumes>;
}
