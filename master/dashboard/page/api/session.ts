/** Who is signed in: a bearer token, held by this tab alone and gone when the tab is closed. */

const storageKey = "bramble.token";

let token = sessionStorage.getItem(storageKey) ?? undefined;
const listeners = new Set<(reason: string | undefined) => void>();

export const currentToken = (): string | undefined => token;

export function signIn(next: string): void {
  token = next;
  sessionStorage.setItem(storageKey, next);
}

/** `reason` is shown on the sign-in page. */
export function signOut(reason?: string): void {
  if (token === undefined) return;
  token = undefined;
  sessionStorage.removeItem(storageKey);
  for (const listener of listeners) listener(reason);
}

export function onSignOut(listener: (reason: string | undefined) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
