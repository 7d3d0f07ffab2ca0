"""Makes tests/golden/head_sklearn.inc: the weights that scikit-learn's LogisticRegression finds for a
small problem, which tests/golden/test_head_sklearn.c compares with ours.

    python3 tests/golden/head_sklearn.py > tests/golden/head_sklearn.inc

(Debian 12: python3-sklearn 1.2.1, python3-numpy 1.24.2.) The problem is made by a linear
congruential generator that the test repeats, in float32.
"""
import numpy as np
from sklearn.linear_model import LogisticRegression

ROWS, WIDTH, CLASSES = 150, 4, 3


def problem():
    state = 12345
    x = np.zeros((ROWS, WIDTH), np.float32)
    y = np.arange(ROWS) % CLASSES
    for i in range(ROWS):
        for j in range(WIDTH):
            state = (state * 1664525 + 1013904223) % 2**32
            u = np.float32(state >> 8) / np.float32(2**24)
            x[i, j] = (u * np.float32(j + 1) + np.float32(0.25 * ((int(y[i]) + j) % CLASSES)))
    return x, y


def main():
    x, y = problem()
    x = x.astype(np.float64)
    print("/* Made by tests/golden/head_sklearn.py. {penalty, balanced, {{weights} per class}, {bias}} on raw"
          " features. */")
    for penalty, balanced in ((0.1, False), (0.001, False), (0.01, True)):
        # Unequal classes make the class weights matter.
        keep = np.ones(ROWS, bool) if not balanced else (y != 2) | (np.arange(ROWS) < 60)
        a, b = x[keep], y[keep]
        m, d = a.mean(0), a.std(0)
        # Ours: mean loss + penalty/2 |W|^2. Theirs: C * (weighted sum of losses) + 1/2 |W|^2; the
        # balanced weights sum to the number of rows.
        model = LogisticRegression(C=1 / (penalty * len(b)), tol=1e-10, max_iter=10000,
                                   class_weight="balanced" if balanced else None)
        model.fit((a - m) / d, b)
        w = model.coef_ / d
        bias = model.intercept_ - (w * m).sum(1)
        rows = ", ".join("{ " + ", ".join("%.7g" % v for v in row) + " }" for row in w)
        print("{ %g, %s,\n  { %s },\n  { %s } }," % (penalty, "true" if balanced else "false", rows,
                                                 ", ".join("%.7g" % v for v in bias)))


if __name__ == "__main__":
    main()
