import type { Duplex } from "node:stream";

/**
 * What the agent asks of the kernel beyond node:fs. `linuxHost()` in linux-host.ts is the real one. All failures are
 * HostError with the errno's name, so that a caller can tell EBUSY from ENOENT.
 */
export interface Host {
  /** Bind mount of `source` on `target` (both exist, both files or both directories). Idempotent is the caller's job:
   *  see `isMountPoint`. Propagation is set by a second mount(2), as the kernel wants it. */
  bindMount(source: string, target: string, options?: BindOptions): void;
  /** A tmpfs on an existing directory; what is in it goes to no swap file, where the kernel can see to that (6.4). */
  mountTmpfs(target: string, options: TmpfsOptions): void;
  /** Any other file system, by mount(8): it may need a helper and may take long (NFS). `timeout_ms` kills it. */
  mountFilesystem(request: FilesystemMount): Promise<void>;
  /** Makes `path` a mount point of its own (a bind on itself) with shared propagation, which `rslave` and `rshared`
   *  mounts in containers need at their source. Idempotent. */
  makeShared(path: string): void;
  /** Takes off what is mounted at `path`, once. Not being a mount point is no error. `lazy` detaches a busy one. */
  unmount(path: string, options?: { readonly lazy?: boolean }): void;
  /** Takes off everything mounted at and below `path`, innermost first. */
  unmountTree(path: string, options?: { readonly lazy?: boolean }): void;
  /** Mounts in the order the kernel lists them (/proc/self/mountinfo). */
  mounts(): MountPoint[];
  isMountPoint(path: string): boolean;

  /**
   * Bind mounts `subPath` of a volume on `target`, and cannot be led out of the volume by a symbolic link, also not by
   * one that is swapped in meanwhile (openat2 with RESOLVE_BENEATH, then a mount from /proc/self/fd). Creates `target`
   * as a file or directory, and the missing directories of the subpath when `createMode` is given (their owner and
   * mode as the volume's when it is "inherit"). HostError EXDEV or ELOOP: the path leaves the volume.
   */
  bindSubPath(request: SubPathMount): void;

  /**
   * A regular file of a volume, read without being led out of it by a symbolic link. HostError EXDEV or ELOOP: the path
   * leaves the volume; EINVAL: it is no regular file; EFBIG: it is longer than `limit_bytes`.
   */
  readFileBeneath(volumePath: string, path: string, limit_bytes: number): Buffer;

  /** A TCP connection to 127.0.0.1 (then ::1) in another network namespace, made without leaving this one. */
  connectInNetworkNamespace(namespacePath: string, port: number, timeout_ms: number): Promise<Duplex>;

  /** Bytes and inodes of the file system that holds `path`. */
  statfs(path: string): Promise<FilesystemStats>;
}

export type Propagation = "private" | "slave" | "shared";

export interface BindOptions {
  readonly recursive?: boolean | undefined;
  readonly readOnly?: boolean | undefined;
  readonly propagation?: Propagation | undefined;
}

export interface TmpfsOptions {
  readonly size_bytes?: number | undefined;
  /** Octal number, 0o1777 and the like. */
  readonly mode?: number | undefined;
  readonly noExec?: boolean | undefined;
}

export interface FilesystemMount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
  readonly timeout_ms: number;
}

export interface SubPathMount {
  readonly volumePath: string;
  readonly subPath: string;
  readonly target: string;
  readonly readOnly?: boolean | undefined;
  readonly createMode?: number | "inherit" | undefined;
}

export interface MountPoint {
  readonly id: number;
  readonly parentId: number;
  /** major:minor */
  readonly device: string;
  readonly root: string;
  readonly path: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
  readonly propagation: Propagation;
}

export interface FilesystemStats {
  readonly capacity_bytes: number;
  readonly available_bytes: number;
  readonly used_bytes: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

export class HostError extends Error {
  override readonly name = "HostError";
  /** What went wrong, without where. */
  readonly detail: string;
  /** What the program ended with that did it, where one did. */
  readonly exitStatus: number | undefined;
  constructor(
    /** Name of the errno, such as EBUSY; "UNKNOWN" for one not in the table. */
    readonly code: string,
    readonly operation: string,
    readonly path: string,
    options?: ErrorOptions & { readonly detail?: string; readonly exitStatus?: number | undefined },
  ) {
    const detail = options?.detail ?? code;
    super(`${operation} ${path}: ${detail}`, options);
    this.detail = detail;
    this.exitStatus = options?.exitStatus;
  }
}
