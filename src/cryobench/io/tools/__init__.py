"""What RELION, cryoSPARC and cryoDRGN write, and how their conventions map to ours."""
