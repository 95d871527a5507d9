"""Purposes of a trajectory's randomness: the numbers that are folded into its key.

A trajectory's random numbers depend on the key of the run, the trajectory's number, the purpose and
the step alone, whatever else is in the ensemble. The numbers below are part of every saved result.
"""

# In `simulate`: initial state, noise of the bath, sample of the environment, initial momentum.
INITIAL, NOISE, SAMPLE, MOMENTUM = 0, 1, 2, 3

# In `learn`: inputs of the steps, the noise of the bath (as above), initial weights, the teacher.
INPUTS, WEIGHTS, TEACHER = 0, 2, 3

# In `optimise`: the initial state (as above) and the minibatches.
MINIBATCHES = 1
