"""Exact results for the square-lattice Ising model with J = k_B = 1 and no field. analyse.py calls them. Only the
standard library is used.

Infinite lattice: L. Onsager, Phys. Rev. 65, 117 (1944); C. N. Yang, Phys. Rev. 85, 808 (1952).
L x L torus: B. Kaufman, Phys. Rev. 76, 1232 (1949).
"""
import math

CRITICAL_TEMPERATURE = 2 / math.log(1 + math.sqrt(2))


def elliptic_k(modulus):
    """Complete elliptic integral of the first kind, by the arithmetic-geometric mean."""
    a, b = 1.0, math.sqrt((1 - modulus) * (1 + modulus))
    while abs(a - b) > 1e-15 * a:
        a, b = (a + b) / 2, math.sqrt(a * b)
    return math.pi / (2 * a)


def onsager_energy(temperature):
    """Energy per spin of the infinite lattice."""
    k2 = 2 / temperature
    modulus = 2 * math.sinh(k2) / math.cosh(k2) ** 2
    factor = 2 * math.tanh(k2) ** 2 - 1
    # At T_c the integral diverges like a logarithm, and its factor vanishes linearly.
    singular = 0.0 if 1 - modulus < 1e-15 else 2 / math.pi * factor * elliptic_k(modulus)
    return -(1 + singular) / math.tanh(k2)


def yang_magnetisation(temperature):
    """Spontaneous magnetisation of the infinite lattice."""
    if temperature >= CRITICAL_TEMPERATURE:
        return 0.0
    return (1 - math.sinh(2 / temperature) ** -4) ** 0.125


def correlation_length(temperature):
    """Of the infinite lattice along an axis, in lattice constants: above T_c that of the spins, below T_c the inverse
    of the interface tension over T, the length on which a torus forgets its size (the spins' own is half of it)."""
    k = 1 / temperature
    rate = abs(2 * k + math.log(math.tanh(k)))
    return math.inf if rate == 0 else 1 / rate


def log_cosh2(x):
    """log(2 cosh x)."""
    return abs(x) + math.log1p(math.exp(-2 * abs(x)))


def log_sinh2(x):
    """log |2 sinh x|."""
    return abs(x) + math.log(-math.expm1(-2 * abs(x)))


def kaufman_gammas(size, k2):
    """gamma_l and its derivative by K for l = 0 … 2 size - 1, from
    cosh gamma_l = cosh 2K coth 2K - cos(l pi / size)."""
    level = math.cosh(k2) / math.tanh(k2)
    slope = 2 * math.cosh(k2) * (1 - math.sinh(k2) ** -2)
    # gamma_0 alone changes its sign at T_c, so it has a formula of its own.
    gammas = [(k2 + math.log(math.tanh(k2 / 2)), 2 + 2 / math.sinh(k2))]
    for index in range(1, 2 * size):
        gamma = math.acosh(level - math.cos(index * math.pi / size))
        gammas.append((gamma, slope / math.sinh(gamma)))
    return gammas


def kaufman_energy(size, temperature):
    """Energy per spin of the L x L torus: -d ln Z / dK / L^2, with ln Z from Kaufman's four products.

    Each product is held as (sign, logarithm, logarithmic derivative by K)."""
    k2 = 2 / temperature
    gammas = kaufman_gammas(size, k2)
    half = size / 2
    products = []
    for first in (1, 0):
        chosen = gammas[first::2]
        products.append((1, sum(log_cosh2(half * g) for g, _ in chosen),
                         sum(half * d * math.tanh(half * g) for g, d in chosen)))
        if all(g != 0 for g, _ in chosen):
            sign = -1 if chosen[0][0] < 0 else 1
            products.append((sign, sum(log_sinh2(half * g) for g, _ in chosen),
                             sum(half * d / math.tanh(half * g) for g, d in chosen)))
    largest = max(logarithm for _, logarithm, _ in products)
    total = sum(sign * math.exp(logarithm - largest) for sign, logarithm, _ in products)
    slope = sum(sign * math.exp(logarithm - largest) * d for sign, logarithm, d in products)
    return -1 / math.tanh(k2) - slope / total / size ** 2


def chi2_tail(chi2, degrees):
    """Probability that a chi-square variable of that many degrees of freedom exceeds chi2: the regularised incomplete
    gamma function Q(degrees / 2, chi2 / 2), by its series or its continued fraction."""
    a, x = degrees / 2, chi2 / 2
    if degrees == 0 or x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while abs(term) > 1e-15 * total:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1 - front * total)
    b = x + 1 - a
    c, d = 1e300, 1 / b
    fraction = d
    for i in range(1, 10000):
        an = -i * (i - a)
        b += 2
        d = 1 / (an * d + b)
        c = b + an / c
        fraction *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return front * fraction
