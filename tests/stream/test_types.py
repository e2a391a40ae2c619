import numpy as np
from facestream.stream.types import Frame
def test_x(): assert Frame('a',0,0,0.,0.,np.zeros((4,6,3),np.uint8)).size==(6,4)
