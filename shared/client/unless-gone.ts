import { isNotFound } from "#shared/api/errors.ts";

/**
 * What the server answers; undefined where it knows no such object, or no more: for reads of what may be gone, and for
 * deletions, which are as good as done then. Rejects with everything else that the server says.
 */
export async function unlessGone<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
