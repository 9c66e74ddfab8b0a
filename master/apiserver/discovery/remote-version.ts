/** Group versions that another server serves, as discovery shows them. */
export interface RemoteVersion {
  readonly version: string;
  /** Absent: none, or none are known. */
  readonly resources?: readonly object[] | undefined;
  readonly freshness: "Current" | "Stale";
}

export interface RemoteGroupVersion {
  readonly group: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  readonly shown: RemoteVersion;
}

/** Those registered at the moment. */
export type RemoteVersions = () => readonly RemoteGroupVersion[];
