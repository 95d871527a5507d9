"""Numerical tools below the physics: casts and checks, sums, quadrature, random streams."""
